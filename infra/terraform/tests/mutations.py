"""Planted faults: each must be found, by the check that is named for it.

Faults of one stage and environment are planted together, so that one plan shows them all; each has
to be found by a finding of its own, that says where it is.
"""

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import assertions
import charts
import declarations
import destroy_order
import schema_check
from assertions import usage
from environments import VARIABLES, planned, priced
from faults import FAULTS, Fault
from findings import Finding
from plans import Plan
from terraform import Terraform, TerraformFailed

NEEDED = ("dev", "staging")
HELM = importlib.util.find_spec("helm_python") is not None


@dataclass
class Bench:
    """A tree whose environments were planned sound; faults go in and are taken out again."""

    terraform: Terraform
    environments: dict[str, assertions.Environment]

    def findings(self, fault: Fault) -> list[Finding]:
        """What the checks of a stage say of the tree as it stands."""
        tree = self.terraform.tree
        if fault.stage == "static":
            return [*schema_check.check(tree), *declarations.check(tree)]
        if fault.stage == "module":
            return self.module_test(fault.path.split("/")[1])
        if fault.stage == "order":
            return destroy_order.check(self.terraform, fault.environment)
        whole = self.environments[fault.environment]
        folder = tree / "environments" / fault.environment
        if fault.stage == "charts":
            return charts.check(whole, folder / "cluster")
        try:
            plan = Plan(fault.stage, self.terraform.plan(folder / fault.stage, VARIABLES))
        except TerraformFailed as refused:
            return [Finding("plan", fault.environment, refused.output)]
        changed = replace(whole, **{fault.stage: plan})
        found = assertions.of_environment(changed)
        if fault.stage == "platform":
            found += usage.check(plan) + priced(fault.environment, plan.body, tree=tree)
        return found + (charts.check(changed, folder / "cluster") if HELM else [])

    def module_test(self, name: str) -> list[Finding]:
        folder = self.terraform.tree / "modules" / name
        try:
            self.terraform.init(folder)
            self.terraform.test(folder)
        except TerraformFailed as failed:
            return [Finding("module-tests", name, failed.output)]
        return []

    def survivors(self, faults: list[Fault]) -> Iterator[tuple[Fault, str]]:
        """Faults that went unnoticed, each with what was found instead."""
        sound: dict[str, str] = {}
        try:
            for fault in faults:
                path = self.terraform.tree / fault.path
                text = path.read_text()
                sound.setdefault(fault.path, text)
                if fault.before not in text:
                    yield fault, f"{fault.path} no longer holds {fault.before!r}: plant it anew"
                path.write_text(text.replace(fault.before, fault.after, 1))
            found = self.findings(faults[0])
        finally:
            for name, text in sound.items():
                (self.terraform.tree / name).write_text(text)
        for fault in faults:
            if not any(
                f.check == fault.caught_by and re.search(fault.saying, str(f), re.S) for f in found
            ):
                others = sorted({str(f)[:200] for f in found})
                yield fault, f"not found by {fault.caught_by} as {fault.saying!r}, among {others}"


def plantable() -> list[Fault]:
    """Less those whose check cannot run here."""
    return [fault for fault in FAULTS if HELM or fault.stage not in ("charts", "vault")]


def batches(faults: list[Fault]) -> Iterator[list[Fault]]:
    together = sorted((f for f in faults if not f.alone), key=Fault.batch)
    for _, batch in groupby(together, key=Fault.batch):
        yield list(batch)
    yield from ([fault] for fault in faults if fault.alone)


def check(
    terraform: Terraform, made: dict[str, assertions.Environment]
) -> tuple[list[Finding], str]:
    for name in NEEDED:
        if name not in made:
            made[name] = planned(terraform, name)
        # Every plan is of a new environment, as the first was.
        state = terraform.tree / "environments" / name / "platform" / "terraform.tfstate"
        state.unlink(missing_ok=True)
    bench = Bench(terraform, made)
    planted = plantable()
    lost = [survivor for batch in batches(planted) for survivor in bench.survivors(batch)]
    found = [Finding("mutations", fault.what, reason) for fault, reason in lost]
    caught = len(planted) - len({fault.what for fault, _ in lost})
    left_out = f", {len(FAULTS) - len(planted)} not planted for want of helm-python-sdk"
    return found, f"{len(planted)} planted, {caught} caught" + left_out * (planted != FAULTS)
