"""What an environment costs a month, from its plan.

    python -m pricing.price PLAN.json --environment dev [--hours 220] [--limit 150] [--write FILE]

PLAN.json is `terraform show -json` of a saved plan. Resources are priced from prices-us-east-1.json
(dated, each price with its source), what a plan cannot know (traffic, logs, nodes that Karpenter
brings) from usage.json. Exits 1 above --limit, or when a resource has no price.
"""

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pricing.resources import Unpriced, lines
from pricing.tariff import HERE, Line, Tariff

LIMITS_USD = {"dev": 150.0}
SPOT_BAND = (0.3, 0.5)


def usage_lines(usage: dict[str, Any], tariff: Tariff) -> Iterator[Line]:
    for group in usage["karpenter_nodes"]:
        yield from tariff.nodes(
            group["capacity"], group["instance_types"], group["count"], group["disk_gib"]
        )
    yield tariff.monthly("ebs.gp3", usage["cluster_volumes_gib"])
    yield tariff.hourly("elb.application", usage["load_balancers"])
    yield tariff.hourly("elb.lcu", usage["load_balancers"])
    yield tariff.monthly("s3.standard", usage["s3_gib"])
    yield tariff.monthly("ecr.storage", usage["registry_gib"])
    for key, quantity in (
        ("cloudwatch.logs", "log_gib"),
        ("logs.vended_to_s3", "flow_log_gib"),
        ("s3.requests_10k", "s3_writes_10k"),
        ("kms.requests_10k", "kms_requests_10k"),
        ("nat.data", "nat_gib"),
        ("transfer.out", "transfer_out_gib"),
        ("transfer.zones", "cross_zone_gib"),
    ):
        yield tariff.used(key, usage[quantity])


def price(plan: dict[str, Any], environment: str, tariff: Tariff) -> list[tuple[str, Line]]:
    usage = json.loads((HERE / "usage.json").read_text())[environment]
    assumed = [("usage.json", line) for line in usage_lines(usage, tariff) if line.usd]
    return [*lines(plan, tariff), *assumed]


def band(plan: dict[str, Any], environment: str) -> tuple[float, float]:
    """What it costs where spot is cheaper and dearer than assumed."""
    low, high = (
        total(price(plan, environment, Tariff.load(spot=fraction))) for fraction in SPOT_BAND
    )
    return low, high


def total(bill: list[tuple[str, Line]]) -> float:
    return round(sum(line.usd for _, line in bill), 2)


def report(bill: list[tuple[str, Line]], tariff: Tariff) -> str:
    by_item: dict[str, list[float]] = defaultdict(list)
    for _, line in bill:
        by_item[line.item].append(line.usd)
    rows = sorted(((sum(v), len(v), item) for item, v in by_item.items()), reverse=True)
    text = [f"{usd:10.2f}  {item}" + (f"  ({n} times)" if n > 1 else "") for usd, n, item in rows]
    text.append(f"{total(bill):10.2f}  USD a month, {tariff.hours:g} h, prices of {tariff.as_of}")
    return "\n".join(text)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--environment", required=True, choices=["dev", "staging", "production"])
    parser.add_argument("--hours", type=float, help="hours a month that it exists (default: all)")
    parser.add_argument("--limit", type=float, help="USD; dev has 150")
    parser.add_argument("--write", type=Path, help="where the root reads its price: price.json")
    options = parser.parse_args(arguments)
    tariff = Tariff.load(hours=options.hours)
    try:
        bill = price(json.loads(options.plan.read_text()), options.environment, tariff)
    except (Unpriced, KeyError) as missing:
        sys.stderr.write(f"{missing.args[0]}\n")
        return 1
    print(report(bill, tariff))
    if options.write:
        options.write.write_text(price_file(bill, tariff))
    limit = options.limit or LIMITS_USD.get(options.environment, math.inf)
    if total(bill) > limit:
        sys.stderr.write(f"{total(bill):.2f} USD a month is above the limit of {limit:g}.\n")
        return 1
    return 0


def price_file(bill: list[tuple[str, Line]], tariff: Tariff) -> str:
    record = {"monthly_usd": total(bill), "hours": tariff.hours, "prices_of": tariff.as_of}
    return json.dumps(record, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
