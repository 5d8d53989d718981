"""The checks of infra/terraform.

    python infra/terraform/tests/check.py [--quick] [--write] [--only NAME ...]

--quick stops before Terraform runs: schema, declarations, tables, format. --write renews the
tables of README.md and the environments' price.json. A missing tool is skipped aloud; the exit is
1 on findings.

Needs terraform 1.11 or later and infra/checks/tools.lock: `make infra` makes that environment, and
runs this.
"""

import argparse
import importlib.util
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from findings import Finding  # noqa: E402 - the folders above are put on the path first

QUICK = ("fmt", "schema", "declarations", "tables")
WHOLE = (
    "module-tests",
    "environments",
    "bootstrap",
    "charts",
    "iam-usage",
    "destroy-order",
    "checkov",
    "mutations",
)
PACKAGES = {
    "hcl2": "python-hcl2",
    "yaml": "pyyaml",
    "tf": "tf",
    "grpc": "grpcio",
    "msgpack": "msgpack",
}


@dataclass
class Report:
    only: set[str]
    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    ran: int = 0

    def step(self, name: str, work: Callable[[], tuple[list[Finding], str]]) -> None:
        if self.only and name not in self.only:
            return
        started = time.monotonic()
        found, extent = work()
        self.ran += 1
        self.findings += found
        verdict = f"FAIL {len(found)}" if found else "ok"
        print(f"{verdict:8}{name:16}{time.monotonic() - started:6.1f} s  {extent}", flush=True)
        for finding in found:
            print(f"        {finding}", flush=True)

    def skip(self, name: str, reason: str) -> None:
        if not self.only or name in self.only:
            self.skipped.append(name)
            print(f"{'SKIP':8}{name:16}          {reason}", flush=True)


def missing(*modules: str) -> list[str]:
    return [PACKAGES[m] for m in modules if importlib.util.find_spec(m) is None]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="The checks of infra/terraform.")
    parser.add_argument("--quick", action="store_true", help="without running Terraform")
    parser.add_argument("--write", action="store_true", help="renew tables and price.json")
    parser.add_argument("--only", nargs="+", default=[], choices=[*QUICK, *WHOLE], metavar="NAME")
    options = parser.parse_args(arguments)
    report = Report(only=set(options.only))
    binary = shutil.which("terraform")
    if absent := missing("hcl2"):
        for name in QUICK:
            report.skip(name, f"needs {', '.join(absent)}")
    else:
        import quick  # needs python-hcl2

        quick.run(report, terraform=bool(binary), write=options.write)
    if not options.quick:
        absent = missing("hcl2", "yaml", "tf", "grpc", "msgpack") + (
            [] if binary else ["terraform"]
        )
        if absent:
            for name in WHOLE:
                report.skip(name, f"needs {', '.join(absent)}")
        else:
            import whole  # needs the stub's packages

            whole.run(report, write=options.write)
    print(
        f"{report.ran} checks ran, {len(report.skipped)} skipped"
        f"{' (' + ', '.join(report.skipped) + ')' if report.skipped else ''},"
        f" {len(report.findings)} findings"
    )
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
