"""Planted faults: each must be found, by the check that is named for it."""

import re
from dataclasses import dataclass

import assertions
import declarations
import destroy_order
import schema_check
from assertions import usage
from environments import VARIABLES, planned, priced
from faults import FAULTS, Fault
from findings import Finding
from plans import Plan
from terraform import Terraform, TerraformFailed, available


@dataclass
class Bench:
    """A tree in which staging and dev were planned once; faults are planted in it one at a time."""

    terraform: Terraform
    environments: dict[str, assertions.Environment]

    def findings(self, fault: Fault) -> list[Finding]:
        """What the checks say of the tree as it stands. Static ones first: they cost nothing."""
        tree = self.terraform.tree
        if fault.stage == "static":
            return [*schema_check.check(tree), *declarations.check(tree)]
        if fault.stage == "module":
            return self.module_test(fault.path.split("/")[1])
        whole = self.environments[fault.environment]
        folder = tree / "environments" / fault.environment
        if fault.stage == "order":
            return destroy_order.check(self.terraform, fault.environment)
        try:
            if fault.stage == "cluster":
                cluster = Plan("cluster", self.terraform.plan(folder / "cluster", VARIABLES))
                whole = assertions.Environment(whole.name, whole.platform, cluster)
            else:
                platform = Plan("platform", self.terraform.plan(folder / "platform", VARIABLES, "-refresh=false"))
                whole = assertions.Environment(whole.name, platform, whole.cluster)
        except TerraformFailed as refused:
            return [Finding("plan", fault.environment, refused.output)]
        found = assertions.of_environment(whole) + usage.check(whole.platform)
        return found + priced(fault.environment, whole.platform.body, tree=tree)

    def module_test(self, name: str) -> list[Finding]:
        folder = self.terraform.tree / "modules" / name
        try:
            self.terraform.init(folder)
            self.terraform.test(folder)
        except TerraformFailed as failed:
            return [Finding("module-tests", name, failed.output)]
        return []

    def survives(self, fault: Fault) -> str | None:
        """Why the fault went unnoticed; None if it was caught by its check."""
        path = self.terraform.tree / fault.path
        sound = path.read_text()
        if sound.count(fault.before) < 1:
            return f"{fault.path} no longer holds {fault.before!r}: plant it anew"
        path.write_text(sound.replace(fault.before, fault.after, 1))
        try:
            found = self.findings(fault)
        finally:
            path.write_text(sound)
        caught = [f for f in found if f.check == fault.caught_by and re.search(fault.saying, str(f), re.S)]
        if caught:
            return None
        names = sorted({f.check for f in found})
        return f"not found by {fault.caught_by}; found by {names or 'nothing'}"


def check() -> tuple[list[Finding], str]:
    with available() as terraform:
        made = {name: planned(terraform, name) for name in ("dev", "staging")}
        for name in made:  # later plans are of a new environment, as the first was
            state = terraform.tree / "environments" / name / "platform" / "terraform.tfstate"
            state.unlink()
        bench = Bench(terraform, made)
        sound = [f for env in made.values() for f in assertions.of_environment(env)]
        found = [Finding("mutations", "before any fault", str(f)) for f in sound]
        for fault in FAULTS:
            if reason := bench.survives(fault):
                found.append(Finding("mutations", fault.what, reason))
    return found, f"{len(FAULTS)} planted faults, {len(FAULTS) - len(found)} caught"


