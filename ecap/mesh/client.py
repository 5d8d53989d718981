"""A call to another service or actor, under its policy.

Order: deadline, breaker, concurrency, one attempt, then perhaps another. An attempt
is repeated only where that is safe: the call is idempotent, or the error says that
nothing was done; and only within the attempts, the retry budget and the deadline.
Errors leave with a `callee` fact, so that a log line or a caller further up can tell
whose failure it was.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ecap import logs, metrics, spans
from ecap.errors import DeadlineExceeded, EcapError, Overloaded, Retryable, Unavailable
from ecap.mesh.breaker import CircuitBreaker, State
from ecap.mesh.budget import RetryBudget
from ecap.mesh.concurrency import ConcurrencyLimit
from ecap.mesh.context import CallContext, current
from ecap.mesh.policy import CallPolicy
from ecap.mesh.retry import backoff_s, failed_callee, nothing_was_done
from ecap.mesh.trace import Trace
from ecap.mesh.transport import Transport

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """`full_s` is what an attempt gets unless the deadline is nearer."""

    method: str
    payload: Any
    headers: Mapping[str, str] | None
    idempotent: bool
    full_s: float
    deadline: float | None
    context: CallContext
    policy: CallPolicy

    def given_s(self, now: float) -> float:
        if self.deadline is None:
            return self.full_s
        return min(self.full_s, self.deadline - now)


class MeshClient:
    """One per callee and process; its breaker, budget and limit are shared by all calls.

    `clock` is monotonic, the one of `CallContext.deadline`; `draw` gives jitter in [0, 1).
    """

    def __init__(
        self,
        callee: str,
        transport: Transport,
        policy: CallPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._callee = callee
        self._transport = transport
        self._policy = policy
        self._clock = clock
        self._draw = draw
        self._breaker = CircuitBreaker(policy.breaker, on_change=self._breaker_changed)
        self._limit = ConcurrencyLimit(policy.max_concurrency, max_queue=policy.max_queue)
        self._budget = RetryBudget(
            ratio=policy.retry_ratio, min_per_s=policy.retry_min_per_s, now=clock()
        )
        self._seconds = metrics.mesh_seconds.labels(callee)
        self._retries = metrics.mesh_retries.labels(callee)
        self._shed = metrics.mesh_shed.labels(callee)
        self._state = metrics.mesh_breaker.labels(callee)

    @property
    def callee(self) -> str:
        return self._callee

    @property
    def breaker_state(self) -> State:
        return self._breaker.state

    def reconfigure(self, policy: CallPolicy) -> None:
        """Holds for calls made from now on; what was learnt about the callee is kept."""
        self._policy = policy
        self._breaker.reconfigure(policy.breaker)
        self._limit.resize(policy.max_concurrency, max_queue=policy.max_queue)
        self._budget.resize(
            ratio=policy.retry_ratio, min_per_s=policy.retry_min_per_s, now=self._clock()
        )

    async def call(
        self,
        method: str,
        payload: Any = None,
        *,
        idempotent: bool | None = None,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The callee's answer. `timeout_s` bounds the whole call, waits and retries included.

        Raises what the callee raised; Overloaded when shed here; Unavailable while the
        circuit is open; DeadlineExceeded when no attempt ended in time.
        """
        started = self._clock()
        call = self._plan(method, payload, headers, idempotent, timeout_s, started)
        outcome = "cancelled"
        self._budget.deposit(started)
        try:
            answer = await self._attempts(call)
            outcome = "ok"
        except EcapError as error:
            error.facts.setdefault("callee", self._callee)
            outcome = error.slug
            raise
        except Exception:  # counted and raised again, whatever it is
            outcome = "error"
            raise
        finally:
            metrics.mesh_calls.labels(self._callee, outcome).inc()
            self._seconds.observe(self._clock() - started)
        return answer

    def _plan(
        self,
        method: str,
        payload: Any,
        headers: Mapping[str, str] | None,
        idempotent: bool | None,
        timeout_s: float | None,
        now: float,
    ) -> _Call:
        policy, context = self._policy, current()
        full_s, deadline = policy.timeout_s, context.deadline
        if timeout_s is not None:
            full_s = min(full_s, timeout_s)
            deadline = now + timeout_s if deadline is None else min(deadline, now + timeout_s)
        safe = policy.idempotent if idempotent is None else idempotent
        return _Call(method, payload, headers, safe, full_s, deadline, context, policy)

    async def _attempts(self, call: _Call) -> Any:
        attempt = 1
        while True:
            ticket = await self._enter(call)
            try:
                return await self._send(call, ticket)
            except Retryable as error:
                wait_s = self._wait_before_retry(call, error, attempt)
                if wait_s is None:
                    raise
            self._retries.inc()
            attempt += 1
            # Without a slot, which `_send` has given back: who waits to try again keeps nobody out.
            await asyncio.sleep(wait_s)

    async def _enter(self, call: _Call) -> int:
        """A slot and the breaker's ticket; both are given back by `_send`."""
        now = self._clock()
        if call.given_s(now) <= 0:
            raise DeadlineExceeded("the deadline passed before the call began")
        # Asked before the queue, so that a dead callee does not fill it, and after it,
        # because much may have happened meanwhile.
        if self._breaker.retry_after_s(now) > 0:
            raise self._circuit_open(now)
        if not self._limit.try_acquire():
            await self._stand_in_line(call.given_s(now))
            now = self._clock()
            if call.given_s(now) <= 0:
                self._limit.release(0.0)
                raise DeadlineExceeded("the deadline passed while the call was queued")
        ticket = self._breaker.admit(now)
        if ticket is None:
            self._limit.release(0.0)
            raise self._circuit_open(now)
        return ticket

    def _circuit_open(self, now: float) -> Unavailable:
        return Unavailable("the circuit is open", retry_after_s=self._breaker.retry_after_s(now))

    async def _stand_in_line(self, patience_s: float) -> None:
        try:
            async with asyncio.timeout(patience_s):
                await self._limit.acquire()
        except Overloaded:
            self._shed.inc()
            raise
        except TimeoutError as exc:
            self._shed.inc()
            raise Overloaded(
                "waited too long for a slot", retry_after_s=self._limit.retry_after_s
            ) from exc

    async def _send(self, call: _Call, ticket: int) -> Any:
        started = self._clock()
        given_s = call.given_s(started)
        span = call.context.trace.child()
        headers = call.context.to_headers(timeout_s=given_s, span=span)
        if call.headers is not None:
            headers.update(call.headers)
        failed: bool | None = None
        begun_ns = time.time_ns()
        try:
            async with asyncio.timeout(given_s):
                answer = await self._transport.send(call.method, call.payload, headers, given_s)
            failed = False
        except TimeoutError as exc:
            failed = _blame(call, given_s)
            raise DeadlineExceeded(f"no answer within {given_s:.3f} s") from exc
        except DeadlineExceeded:
            failed = _blame(call, given_s)
            raise
        except EcapError as error:
            failed = failed_callee(error)
            raise
        except Exception:  # the breaker counts it, and it flies on
            failed = True
            raise
        finally:
            self._leave(ticket, started, failed)
            if spans.enabled() and span.sampled:
                spans.add(_span(self._callee, call.method, span, begun_ns, failed=bool(failed)))
        return answer

    def _leave(self, ticket: int, started: float, failed: bool | None) -> None:
        now = self._clock()
        self._limit.release(now - started)
        if failed is None:
            self._breaker.forget(ticket)
        else:
            self._breaker.record(ticket, now, failed=failed, duration_s=now - started)

    def _wait_before_retry(self, call: _Call, error: Retryable, attempt: int) -> float | None:
        if attempt >= call.policy.attempts or not (call.idempotent or nothing_was_done(error)):
            return None
        wait_s = backoff_s(error, call.policy, attempt=attempt, random=self._draw())
        now = self._clock()
        if call.deadline is not None and now + wait_s >= call.deadline:
            return None
        # Asked last: a token for a retry that is not made is one that another call lacks.
        return wait_s if self._budget.withdraw(now) else None

    def _breaker_changed(self, before: State, after: State) -> None:
        self._state.set(after)
        level = logging.WARNING if after is State.OPEN else logging.INFO
        _log.log(level, "circuit %s", after.name.lower(), extra={"callee": self._callee})


def _span(callee: str, method: str, span: Trace, begun_ns: int, *, failed: bool) -> spans.Span:
    """One attempt; attributes by OpenTelemetry's semantic conventions for RPC clients."""
    return spans.Span(
        name=f"{callee} {method}",
        kind="client",
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        start_ns=begun_ns,
        end_ns=time.time_ns(),
        attributes={"rpc.service": callee, "rpc.method": method},
        error="failed" if failed else None,
    )


def _blame(call: _Call, given_s: float) -> bool | None:
    """Whether a timeout is the callee's failure.

    Not when the caller's deadline left it little time: the deadline may come from
    outside, and must not let a stranger open the circuit for everybody.
    """
    return True if given_s >= call.full_s / 2 else None
