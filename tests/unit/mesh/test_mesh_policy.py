from __future__ import annotations

from ecap.config.settings.mesh import CallPolicySettings
from ecap.mesh import CallPolicy


def test_the_settings_and_the_policy_have_the_same_fields_and_defaults() -> None:
    assert CallPolicy.from_settings(CallPolicySettings()) == CallPolicy()


def test_configured_values_arrive() -> None:
    settings = CallPolicySettings.model_validate(
        {"timeout_s": 0.3, "max_queue": 0, "breaker": {"probes": 7}}
    )
    policy = CallPolicy.from_settings(settings, idempotent=True)
    assert (policy.timeout_s, policy.max_queue, policy.breaker.probes) == (0.3, 0, 7)
    assert policy.idempotent
