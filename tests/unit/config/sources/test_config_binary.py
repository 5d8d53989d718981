"""What is no text in Kubernetes is an error where it is meant, and nobody's business elsewhere."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ecap.config.sources.kubernetes import as_layer
from ecap.config.sources.kubernetes_api import Kind, _item
from ecap.errors import Misconfigured

BINARY = base64.b64encode(b"\xff\xfe\x00").decode()


def item(kind: Kind, **parts: Any) -> Any:
    return _item(kind, {"metadata": {"name": "x", "resourceVersion": "1"}, **parts})


@pytest.mark.parametrize("key", ["ECAP__SMTP__PASSWORD", "smtp.password"])
def test_a_binary_setting_is_an_error(key: str) -> None:
    """It was an empty password."""
    with pytest.raises(Misconfigured, match=f"secret x/{key}: not UTF-8 text"):
        as_layer(item("secrets", data={key: BINARY}))


def test_a_binary_config_map_is_an_error() -> None:
    with pytest.raises(Misconfigured, match=r"configmap x/orders\.max_lines: not UTF-8 text"):
        as_layer(item("configmaps", binaryData={"orders.max_lines": BINARY}))


def test_a_key_store_beside_them_is_none() -> None:
    text = base64.b64encode(b"one").decode()
    found = item("secrets", data={"keystore.jks": BINARY, "smtp.password": text})
    assert as_layer(found).values["smtp.password"].value == "one"
    assert found.binary == {"keystore.jks"}
    assert "keystore.jks" not in found.values


def test_one_object_has_one_shape() -> None:
    with pytest.raises(Misconfigured, match="configmap x/orders sets orders as a value"):
        as_layer(item("configmaps", data={"orders": "1", "orders.max_lines": "2"}))
