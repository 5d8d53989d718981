"""Plans of the three environments, made once and shared by the checks that look at them."""

import json
from typing import Any

from assertions import Environment
from findings import Finding
from plans import Plan
from pricing.price import LIMITS_USD, price, price_file, total
from pricing.resources import Unpriced
from pricing.tariff import Tariff
from terraform import Terraform
from trees import TERRAFORM

VARIABLES = "-var-file=example.tfvars"
# Where somebody applies, an operator gives it: any of the right form does for a plan.
TOKEN = {"TF_VAR_cache_auth_token": "only-for-plans-" + "0" * 32}


def planned(terraform: Terraform, name: str) -> Environment:
    """The platform planned and applied to the stub; the cluster planned with what it published."""
    terraform.environment.update(TOKEN)
    folder = terraform.tree / "environments" / name
    platform = terraform.plan(folder / "platform", VARIABLES)
    terraform.apply(folder / "platform")
    cluster = terraform.plan(folder / "cluster", VARIABLES)
    vault = None
    if (folder / "vault").is_dir():
        vault = Plan(f"{name} vault", terraform.plan(folder / "vault", VARIABLES))
    plans = (Plan(f"{name} platform", platform), Plan(f"{name} cluster", cluster), vault)
    return Environment(name, *plans)


def priced(name: str, plan: dict[str, Any], *, tree: Any = TERRAFORM) -> list[Finding]:
    """Under its limit, and as the root's price.json says, which the budget is held against."""
    tariff = Tariff.load()
    try:
        bill = price(plan, name, tariff)
    except (Unpriced, KeyError) as missing:
        return [Finding("price", name, str(missing.args[0]))]
    found = []
    limit = LIMITS_USD.get(name)
    if limit is not None and total(bill) > limit:
        what = f"costs {total(bill):.2f} USD a month, more than {limit:g}"
        found.append(Finding("price", name, what))
    record = tree / "environments" / name / "platform" / "price.json"
    if json.loads(record.read_text()) != json.loads(price_file(bill, tariff)):
        what = (
            f"is not the price of the plan, {total(bill):.2f} USD: run pricing.price with --write"
        )
        found.append(Finding("price", str(record.relative_to(tree)), what))
    return found
