"""The checks that need no Terraform run: seconds."""

from typing import Any

import declarations
import outside
import schema_check
import tables
from trees import TERRAFORM, documents, modules


def run(report: Any, *, terraform: bool, write: bool) -> None:
    readme = TERRAFORM / "README.md"
    if write:
        readme.write_text(tables.replaced(readme.read_text()))
    files = f"{len(documents())} files"
    if terraform:
        report.step("fmt", lambda: (outside.formatted(), files))
    else:
        report.skip("fmt", "needs terraform")
    report.step("schema", lambda: (schema_check.check(), files))
    report.step("declarations", lambda: (declarations.check(), files))
    report.step("tables", lambda: (tables.check(), f"{len(modules())} modules"))
