"""The stock Terraform binary, on a copy of the tree, with stub providers and no backend."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trees import CHARTS, SCHEMAS, TERRAFORM

TIMEOUT_S = 120
IGNORED = shutil.ignore_patterns(
    ".terraform", "*.tfstate*", "__pycache__", ".pytest_cache", "schema"
)


class TerraformFailed(Exception):
    def __init__(self, command: str, folder: Path, output: str) -> None:
        super().__init__(f"terraform {command} in {folder.name}: {output.strip()}")
        self.output = output


@dataclass(frozen=True)
class Terraform:
    """Runs commands in folders of `tree`, which is a copy that may be changed."""

    tree: Path
    environment: dict[str, str]
    providers: dict[str, Any]

    def run(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise TerraformFailed(arguments[0], folder, done.stdout + done.stderr)
        return done.stdout

    def init(self, folder: Path) -> None:
        self.run(folder, "init", "-backend=false", "-input=false", "-no-color")

    def validate(self, folder: Path) -> None:
        self.run(folder, "validate", "-no-color")

    def test(self, folder: Path) -> str:
        return self.run(folder, "test", "-no-color")

    def plan(self, folder: Path, *arguments: str) -> dict[str, Any]:
        """The plan as JSON. The S3 backend is put aside: nothing here may look for it."""
        (folder / "backend.tf").unlink(missing_ok=True)
        self.init(folder)
        self.run(
            folder, "plan", "-out=plan.bin", "-input=false", "-no-color", "-lock=false", *arguments
        )
        plan: dict[str, Any] = json.loads(self.run(folder, "show", "-json", "plan.bin"))
        return plan

    def apply(self, folder: Path) -> None:
        """Applies the plan made last: the stubs invent what AWS would decide."""
        self.run(folder, "apply", "-no-color", "-lock=false", "plan.bin")

    def destroy(self, folder: Path, *arguments: str) -> None:
        self.run(
            folder,
            "destroy",
            "-auto-approve",
            "-refresh=false",
            "-no-color",
            "-input=false",
            *arguments,
        )


@contextlib.contextmanager
def copied(tree: Path = TERRAFORM) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ecap-terraform-") as folder:
        # With the charts where the cluster roots look for them.
        copy = Path(folder) / "infra" / "terraform"
        shutil.copytree(tree, copy, ignore=IGNORED)
        shutil.copytree(CHARTS, Path(folder) / "deploy" / "kuberay", ignore=IGNORED)
        yield copy


@contextlib.contextmanager
def available(tree: Path = TERRAFORM) -> Iterator[Terraform]:
    """A Terraform over a fresh copy of `tree`. Needs the binary and the stub's packages."""
    from stub.server import serving  # the packages it needs may be absent: checks skip aloud

    with serving(SCHEMAS) as stubs, copied(tree) as copy:
        environment = {**clean_environment(), **stubs.environment}
        yield Terraform(tree=copy, environment=environment, providers=stubs.providers)


def clean_environment() -> dict[str, str]:
    """No TF_ variable or AWS credential of the caller reaches a check."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "AWS_"))}
    return {
        **kept,
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_CONFIG_FILE": os.devnull,
        "GOMAXPROCS": "2",
    }
