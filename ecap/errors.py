"""Every error ECAP raises, by what the caller can do about it.

    EcapError
    ├── Refused               change the request; trying again as it is cannot help
    │   ├── Invalid           422  a field is wrong (`field`)
    │   ├── Malformed         400  not even parseable
    │   ├── Unauthenticated   401
    │   ├── Forbidden         403
    │   ├── NotFound          404
    │   ├── TooSlow           408  may or may not have happened; give it more time
    │   ├── Conflict          409
    │   ├── PreconditionFailed 412
    │   ├── TooLarge          413
    │   ├── UnsupportedMedia  415
    │   ├── PreconditionRequired 428
    │   └── HungUp            499  nobody is there to be answered
    ├── Retryable             the same request may succeed later (`retry_after_s`)
    │   ├── RateLimited       429
    │   ├── Overloaded        503  shed before any work was done
    │   ├── Unavailable       503  a dependency is away
    │   └── DeadlineExceeded  504  may or may not have happened
    └── Fatal                 stop; an operator has to act
        ├── Misconfigured     names the key and the remedy
        └── Fenced            somebody newer owns this work

Texts are for logs and developers. What an HTTP client sees is made from the
facts in `ecap.serve.endpoints.problems`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EcapError(Exception):
    """Base of the tree. `facts` are safe to show to the caller."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross actor boundaries; the default reduction drops the facts.
        return _rebuild, (type(self), self.detail, self.facts)


def _rebuild(kind: type[EcapError], detail: str, facts: dict[str, Any]) -> EcapError:
    return kind(detail, **facts)


class Refused(EcapError):
    status = 400
    slug = "refused"
    title = "Request refused"


class Malformed(Refused):
    status = 400
    slug = "malformed"
    title = "Malformed request"


class Invalid(Refused):
    """`facts["errors"]` lists `{"field", "message"}`; `field` alone is a shorthand."""

    status = 422
    slug = "invalid"
    title = "Invalid field"


class Unauthenticated(Refused):
    status = 401
    slug = "unauthenticated"
    title = "Authentication required"


class Forbidden(Refused):
    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFound(Refused):
    status = 404
    slug = "not-found"
    title = "Not found"


class TooSlow(Refused):
    """The caller's own doing; a deadline that we had the time to keep is DeadlineExceeded."""

    status = 408
    slug = "request-timeout"
    title = "The request left too little time"


class Conflict(Refused):
    status = 409
    slug = "conflict"
    title = "Conflict with the present state"


class PreconditionFailed(Refused):
    status = 412
    slug = "precondition-failed"
    title = "The resource has changed"


class PreconditionRequired(Refused):
    status = 428
    slug = "precondition-required"
    title = "The version you saw is needed"


class TooLarge(Refused):
    status = 413
    slug = "too-large"
    title = "Request body too large"


class UnsupportedMedia(Refused):
    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"


class HungUp(Refused):
    status = 499  # no standard's: what proxies write down for it
    slug = "client-closed-request"
    title = "The client has hung up"


class Retryable(EcapError):
    status = 503
    slug = "retry"
    title = "Try again"

    def __init__(self, detail: str, *, retry_after_s: float = 1.0, **facts: Any) -> None:
        super().__init__(detail, **facts)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (
            type(self),
            self.detail,
            {**self.facts, "retry_after_s": self.retry_after_s},
        )


class RateLimited(Retryable):
    status = 429
    slug = "rate-limited"
    title = "Too many requests"


class Overloaded(Retryable):
    slug = "overloaded"
    title = "Overloaded"


class Unavailable(Retryable):
    slug = "unavailable"
    title = "A dependency is unavailable"


class DeadlineExceeded(Retryable):
    status = 504
    slug = "deadline-exceeded"
    title = "The deadline has passed"


class Fatal(EcapError):
    slug = "fatal"


class Misconfigured(Fatal):
    slug = "misconfigured"
    title = "Configuration error"


class Fenced(Fatal):
    slug = "fenced"
    title = "A newer owner has taken over"
