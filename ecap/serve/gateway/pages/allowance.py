"""What a caller may ask for, and how often."""

from __future__ import annotations

from ecap.config.settings.limits import Bucket, Limits
from ecap.mesh import Principal
from ecap.serve.gateway.models import Limit, LimitsThatApply


def limits_of(principal: Principal, limits: Limits) -> LimitsThatApply:
    by_address = principal.kind == "anonymous"
    return LimitsThatApply(
        enabled=limits.enabled,
        counted_by="address" if by_address else "principal",
        requests=_limit(limits.address if by_address else limits.principal),
        credentials=_limit(limits.credentials),
    )


def _limit(bucket: Bucket) -> Limit:
    return Limit(rate_per_s=bucket.rate_per_s, burst=bucket.burst)
