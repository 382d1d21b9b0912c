"""AwsStub: a strict stand-in for AWS on loopback; see :mod:`secretkit.testing.aws`."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from secretkit.broker.clock import SystemClock
from secretkit.errors import ConfigError
from secretkit.testing.aws.account import Accounts
from secretkit.testing.aws.fault import DROP, Faults
from secretkit.testing.aws.form import parameters
from secretkit.testing.aws.listener import Listener
from secretkit.testing.aws.message import Answer, AwsRefusedError, json_answer, refusal
from secretkit.testing.aws.model import Claude, service_of
from secretkit.testing.aws.secretsmanager import SecretsManager
from secretkit.testing.aws.signature import Verifier
from secretkit.testing.aws.ssm import ParameterStore
from secretkit.testing.aws.sts import Sts

if TYPE_CHECKING:
    from types import TracebackType

    from secretkit.ports import Clock
    from secretkit.testing.aws.account import Holder
    from secretkit.testing.aws.fault import Fault
    from secretkit.testing.aws.message import Incoming

__all__ = ["AwsStub", "Call"]

_TARGETS: Final = {"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}
_WEB_IDENTITY: Final = "AssumeRoleWithWebIdentity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: the action, the endpoint's region, who signed it (or ""), how it was answered.

    ``code`` is AWS's error code, empty for a success; ``status`` 0: the connection was cut.
    """

    action: str
    region: str
    caller: str
    status: int
    code: str


@dataclass(slots=True)
class _Turn:
    """What is known of a request so far."""

    action: str = ""
    protocol: str = "query"
    caller: str = ""
    code: str = ""


class AwsStub:
    """The stand-in, one endpoint a region; use it with ``with``. All methods are thread-safe.

    ``clock`` decides skew, ends and expiry; faults hang and streams pause (``pace``, between two
    events) in real time. ``life`` is what a session lives, whatever DurationSeconds asks for within
    its bounds: sessions of 2 seconds, for tests.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        regions: tuple[str, ...] = ("us-east-1",),
        life: timedelta | None = None,
        pace: timedelta = timedelta(),
        reply: str = "Hello from the stand-in. Nothing here has met a model.",
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._denied: list[tuple[str, str]] = []
        self.accounts = Accounts(clock=self._clock, life=life)
        self.sts = Sts(self.accounts)
        self.secrets = SecretsManager(self._clock)
        self.parameters = ParameterStore(self._clock)
        self.faults = Faults()
        self._verifier = Verifier(self.accounts)
        self.claude = Claude(self._verifier, reply=reply)
        self._pace = pace
        self._regions = regions
        self._listeners: dict[str, Listener] = {}
        self._ports: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<AwsStub {', '.join(self._regions)}>"

    def __enter__(self) -> Self:
        """Start every region's endpoint."""
        for region in self._regions:
            self.start_region(region)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop them."""
        for region in tuple(self._listeners):
            self.stop_region(region)

    def start_region(self, region: str) -> None:
        """Open a region's endpoint; one that was stopped comes back where it was."""
        port = self._ports.get(region, 0)
        listener = Listener(region, port=port, exchange=self._exchange, pace=self._pace)
        self._listeners[region], self._ports[region] = listener, listener.port
        listener.start()

    def stop_region(self, region: str) -> None:
        """Refuse connections to this region, and cut the open ones."""
        self._listeners.pop(region).stop()

    def url(self, region: str = "") -> str:
        """Give the endpoint of a region, of the first if none is named, also while it is down."""
        port = self._ports.get(region or self._regions[0])
        if port is None:
            raise ConfigError("this region never had an endpoint", hint="AwsStub(regions=...)")
        return f"http://127.0.0.1:{port}"

    def deny(self, action: str, *, arn: str) -> None:
        """Refuse this action ("*" for all) to a user's or role's ARN, as its policies might."""
        with self._lock:
            self._denied.append((action, arn))

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every request so far, in the order they were answered."""
        with self._lock:
            return tuple(self._calls)

    def count(self, action: str) -> int:
        """How many requests asked for this action, such as "sts:AssumeRole", however answered."""
        return self.counts()[action]

    def counts(self) -> Counter[str]:
        """Give the number of requests by action."""
        return Counter(call.action for call in self.calls)

    def _exchange(self, request: Incoming) -> Answer | None:
        turn, answer = _Turn(), None
        try:
            answer = self._answered(request, turn)
        except AwsRefusedError as error:
            turn.code = error.code
            if error.code != DROP:
                answer = refusal(error, protocol=turn.protocol)
        if answer is not None:
            answer.headers["date"] = f"{self._clock.now():%a, %d %b %Y %H:%M:%S GMT}"
        status = 0 if answer is None else answer.status
        with self._lock:
            call = Call(
                action=turn.action,
                region=request.region,
                caller=turn.caller,
                status=status,
                code=turn.code,
            )
            self._calls.append(call)
        return answer

    def _answered(self, request: Incoming, turn: _Turn) -> Answer:
        service, name = service_of(request)
        if service:
            return self._claude(request, turn, service, name)
        if request.header("x-amz-target"):
            return self._store(request, turn)
        if request.path.startswith("/.well-known/"):
            return self._discovery(request, turn)
        return self._sts(request, turn)

    def _claude(self, request: Incoming, turn: _Turn, service: str, action: str) -> Answer:
        turn.protocol, turn.action = "rest", action
        holder = self.claude.holder(request, service=service)
        self._passes(request, turn, holder)
        return self.claude.answer(request, service=service)

    def _store(self, request: Incoming, turn: _Turn) -> Answer:
        turn.protocol = "json"
        prefix, _, name = request.header("x-amz-target").partition(".")
        service = _TARGETS.get(prefix, "")
        actions = self.secrets.actions if service == "secretsmanager" else self.parameters.actions
        if not service or name not in actions or request.method != "POST":
            raise AwsRefusedError("UnknownOperationException", "there is no such operation here")
        turn.action = f"{service}:{name}"
        holder = self._verifier.holder(request, service=service)
        self._passes(request, turn, holder)
        return json_answer(actions[name](_object(request.body), holder, request.region))

    def _sts(self, request: Incoming, turn: _Turn) -> Answer:
        form = parameters(request)
        name = form.get("Action", "")
        turn.action = f"sts:{name}"
        if name == _WEB_IDENTITY:
            fault = self._passes(request, turn, None)
            return self.sts.assume_with_token(form, fault)
        holder = self._verifier.holder(request, service="sts")
        fault = self._passes(request, turn, holder)
        if name == "GetCallerIdentity":
            return self.sts.caller_identity(holder)
        if name == "AssumeRole":
            return self.sts.assume_role(form, holder, fault)
        if name == "GetWebIdentityToken":
            return self.sts.web_identity_token(form, holder, request.region)
        raise AwsRefusedError("InvalidAction", "Could not find operation for version 2011-06-15")

    def _discovery(self, request: Incoming, turn: _Turn) -> Answer:
        turn.action, kind = "discovery", "application/json"
        if request.path == "/.well-known/jwks.json":
            return json_answer(self.sts.jwks(), kind=kind)
        url = self.url(request.region)
        document = {"issuer": self.sts.issuer, "jwks_uri": f"{url}/.well-known/jwks.json"}
        return json_answer(document, kind=kind)

    def _passes(self, request: Incoming, turn: _Turn, holder: Holder | None) -> Fault | None:
        """Refuse what is denied, and play the next fault that fits."""
        if holder is not None:
            turn.caller = holder.arn
            with self._lock:
                denied = set(self._denied)
            if {(turn.action, one) for one in (holder.arn, holder.role)} & denied or {
                ("*", one) for one in (holder.arn, holder.role)
            } & denied:
                message = f"User: {holder.arn} is not authorized to perform: {turn.action}"
                status = 403 if turn.protocol == "rest" else 400
                raise AwsRefusedError("AccessDeniedException", message, status)
        fault = self.faults.take(turn.action, region=request.region)
        if fault is not None and fault.hang:
            self._listeners[request.region].stopping.wait(fault.hang.total_seconds())
        if fault is not None and fault.code:
            raise fault.refused()
        return fault


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise AwsRefusedError("SerializationException", "a JSON object is expected")
    return given
