"""How a plan is priced. The checks of Terraform's code are in `make infra`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

TERRAFORM = Path(__file__).parents[2] / "infra" / "terraform"
sys.path.insert(0, str(TERRAFORM))

resources = importlib.import_module("pricing.resources")  # found on the path set above
Unpriced, lines = resources.Unpriced, resources.lines
Tariff = importlib.import_module("pricing.tariff").Tariff


def plan(*resources: dict[str, Any]) -> dict[str, Any]:
    whole = [{"mode": "managed", **resource} for resource in resources]
    return {"planned_values": {"root_module": {"resources": whole}}}


def test_a_standby_is_paid_twice() -> None:
    values = {
        "instance_class": "db.t4g.micro",
        "multi_az": True,
        "allocated_storage": 20,
        "manage_master_user_password": False,
        "database_insights_mode": "standard",
    }
    database = {"address": "aws_db_instance.x", "type": "aws_db_instance", "values": values}
    bill = [line.usd for _, line in lines(plan(database), Tariff.load())]
    assert sum(bill) == pytest.approx(2 * (0.016 * 730 + 20 * 0.115))


def test_what_has_no_price_is_refused() -> None:
    unknown = {"address": "aws_lambda_function.x", "type": "aws_lambda_function", "values": {}}
    with pytest.raises(Unpriced, match="no price for aws_lambda_function"):
        list(lines(plan(unknown), Tariff.load()))


def test_half_the_hours_cost_half() -> None:
    cluster = {"address": "aws_eks_cluster.x", "type": "aws_eks_cluster", "values": {}}
    whole, half = (
        sum(line.usd for _, line in lines(plan(cluster), Tariff.load(hours=hours)))
        for hours in (730, 365)
    )
    assert half == pytest.approx(whole / 2)


def test_every_price_says_where_it_is_from() -> None:
    document = json.loads((TERRAFORM / "pricing" / "prices-us-east-1.json").read_text())
    assert all(p["source"] in document["sources"] for p in document["prices"].values())
    assert document["as_of"]
