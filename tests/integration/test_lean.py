"""What is not loaded, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

from ecap.pipelines.batch.jobs import JOBS


def test_listing_waits_for_nobody() -> None:
    """Neither Ray nor what batch jobs need is loaded for it."""
    code = (
        "import sys; from ecap.cli.job import commands; commands.show();"
        "print(sorted({'ray', 'pandas', 'pyarrow', 'psutil'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert all(name in done.stdout for name in JOBS)


def test_processes_that_serve_stay_lean() -> None:
    code = (
        "import os; from ecap.lean import keep_lean; keep_lean()\n"
        "from ray import serve\nimport sys\n"
        "print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))\n"
        "try:\n    import pyarrow\nexcept ModuleNotFoundError as exc:\n    print(exc)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second = done.stdout.splitlines()
    assert first == "[]", done.stderr
    assert "ECAP_BATCH" in second
