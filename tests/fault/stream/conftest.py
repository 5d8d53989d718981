from __future__ import annotations

import sys
from pathlib import Path

# The counting pipeline is that of the integration tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "actors"))
