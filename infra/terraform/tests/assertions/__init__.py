"""What must be true of every environment's plan, whatever its size."""

from collections.abc import Callable
from dataclasses import dataclass

from assertions import encryption, iam, ports, public, taints
from findings import Finding
from plans import Plan


@dataclass(frozen=True)
class Environment:
    name: str
    platform: Plan
    cluster: Plan
    vault: Plan | None = None
    """Of the root that tells Vault who may log in; dev has none."""


PLATFORM: dict[str, Callable[[Plan], list[tuple[str, str]]]] = {
    "nothing-public": public.check,
    "everything-encrypted": encryption.check,
    "ports-agree": ports.check,
    "iam-least": iam.check,
}


def of_plan(plan: Plan) -> list[Finding]:
    """For any root on its own, bootstrap among them."""
    return [
        Finding(name, f"{plan.name}: {where}", what)
        for name, assertion in PLATFORM.items()
        for where, what in assertion(plan)
    ]


def of_environment(environment: Environment) -> list[Finding]:
    found = of_plan(environment.platform)
    for where, what in taints.check(environment.platform, environment.cluster):
        found.append(Finding("taints-tolerated", f"{environment.name}: {where}", what))
    return found
