"""The checks that run the stock Terraform binary against the stub providers."""

import importlib.util
import re
from typing import Any

import assertions
import charts
import destroy_order
import mutations
import outside
from assertions import Environment, usage
from environments import TOKEN, VARIABLES, planned, priced
from findings import Finding
from plans import Plan
from pricing.price import band, price, price_file, total
from pricing.tariff import Tariff
from terraform import Terraform, TerraformFailed, available
from trees import ENVIRONMENTS, TERRAFORM, modules


def run(report: Any, *, write: bool) -> None:
    with available() as terraform:
        report.step("module-tests", lambda: module_tests(terraform))
        made: dict[str, Environment] = {}
        report.step("environments", lambda: environments(terraform, made, write=write))
        report.step("bootstrap", lambda: bootstrap(terraform))
        if made:
            rendered_charts(report, terraform, made)
            iam_usage(report, made["production"].platform)
            report.step("destroy-order", lambda: destroy(terraform))
            if outside.executable("checkov"):
                platform = made["production"].platform
                report.step("checkov", lambda: (outside.checkov(platform), platform.name))
            else:
                report.skip("checkov", "is not installed")
        report.step("mutations", lambda: mutations.check(terraform, made))


def module_tests(terraform: Terraform) -> tuple[list[Finding], str]:
    """Each module's .tftest.hcl, which plan its examples too."""
    found, runs = [], 0
    for module in modules(terraform.tree):
        if not (module / "tests").is_dir():
            continue
        try:
            terraform.init(module)
            output = terraform.test(module)
            runs += int(re.findall(r"(\d+) passed", output)[-1])
        except TerraformFailed as failed:
            found.append(Finding("module-tests", module.name, failed.output.strip()[-3000:]))
    return found, f"{runs} runs"


def environments(
    terraform: Terraform, made: dict[str, Environment], *, write: bool
) -> tuple[list[Finding], str]:
    found, prices = [], []
    for name in ENVIRONMENTS:
        try:
            environment = planned(terraform, name)
        except TerraformFailed as failed:
            found.append(Finding("plan", name, failed.output.strip()[-3000:]))
            continue
        made[name] = environment
        if write:
            rewrite_price(name, environment.platform)
        found += assertions.of_environment(environment)
        found += priced(name, environment.platform.body)
        usd = total(price(environment.platform.body, name, Tariff.load()))
        low, high = band(environment.platform.body, name)
        prices.append(f"{name} {usd:.2f} USD ({low:.0f} to {high:.0f} by the price of spot)")
    return found, ", ".join(prices)


def rewrite_price(name: str, plan: Plan) -> None:
    tariff = Tariff.load()
    path = TERRAFORM / "environments" / name / "platform" / "price.json"
    path.write_text(price_file(price(plan.body, name, tariff), tariff))


def bootstrap(terraform: Terraform) -> tuple[list[Finding], str]:
    try:
        plan = terraform.plan(terraform.tree / "bootstrap", VARIABLES)
    except TerraformFailed as failed:
        return [Finding("plan", "bootstrap", failed.output.strip()[-3000:])], ""
    return assertions.of_plan(Plan("bootstrap", plan)), f"{len(plan['resource_changes'])} resources"


def rendered_charts(report: Any, terraform: Terraform, made: dict[str, Environment]) -> None:
    if importlib.util.find_spec("helm_python") is None:
        report.skip("charts", "needs helm-python-sdk")
        return

    def work() -> tuple[list[Finding], str]:
        found = []
        for name, environment in made.items():
            folder = terraform.tree / "environments" / name / "cluster"
            found += charts.check(environment, folder)
        return found, "local charts with the values of three plans: ports, identities, Vault"

    report.step("charts", work)


def iam_usage(report: Any, plan: Plan) -> None:
    report.step("iam-usage", lambda: (usage.check(plan), f"{len(usage.granted(plan))} actions"))


def destroy(terraform: Terraform) -> tuple[list[Finding], str]:
    """Rules on staging's graph, which has everything; a real destroy of dev, which is small."""
    terraform.environment.update(TOKEN)
    found = destroy_order.check(terraform, "staging")
    found += destroy_order.destroyed(terraform, "dev", VARIABLES)
    rules = sum(len(rules) for rules in destroy_order.RULES.values())
    return found, f"{rules} rules"
