"""Bedrock clients: signed by secretkit and by the SDK; and a thousand signers on one role."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measure import Subject, in_threads, interleaved, median_ratio, no_collection, turn
from benchmarks.report import TIMES, Budget, Column, Result, Row, Table
from secretkit.broker.blocking import Broker
from secretkit.broker.clock import SystemClock
from secretkit.broker.state import BrokerContext
from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.core.target import Target
from secretkit.ledger import open as open_ledger
from secretkit.ports import Acquired
from secretkit.redact import default

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import anthropic

    from benchmarks.measure import Effort

TITLE: Final = "Claude on Amazon Bedrock: who signs, and how often credentials are fetched"
_OURS: Final = "secretkit.claude.connect"
_SDK: Final = "AnthropicBedrock with literal keys"
_REGION: Final = "us-west-2"
_NAME: Final = "bedrock"
_SIGNERS: Final = 1000
_MODEL: Final = "anthropic.claude-benchmark-v1:0"
_SIGNED: Final = (
    Column("name", "signer"),
    Column("us", "a signature", "µs"),
    Column("share", "of the SDK's", TIMES),
)
_ASKED: Final = (
    Column("name", "client"),
    Column("rps", "requests a second"),
    Column("us", "a request", "µs"),
    Column("share", "of the SDK's", TIMES),
)
_HERD: Final = (
    Column("name", "callers"),
    Column("signed", "signatures"),
    Column("calls", "source calls"),
    Column("ms", "all of them", "ms"),
)
_SERVE: Final = """
import json, sys
from secretkit.testing.aws import AwsStub
with AwsStub(regions=("us-west-2",)) as aws:
    key = aws.accounts.add_user("benchmark")
    print(json.dumps([aws.url(), key.access_key_id, key.secret.reveal()]), flush=True)
    sys.stdin.read()
"""


class _OneRole:
    """A source that gives a session of an hour, and counts how often it is asked."""

    ref = "aws:role/benchmark"

    def __init__(self, credentials: AwsCredentials, *, delay: float = 0.0) -> None:
        self._credentials = credentials
        self._delay = delay
        self.calls = 0

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:  # noqa: ARG002 - the port's
        self.calls += 1
        time.sleep(self._delay)
        return Acquired(credential=self._credentials, ref=self.ref)

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give nothing back."""


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure one signature, requests against the stand-in, and the herd."""
    rounds = effort.pick(11, 3)
    with _stand_in() as (url, credentials), _broker(_OneRole(credentials), url) as broker:
        tables = [
            _signatures(credentials, broker, rounds=rounds, say=say),
            _requests(
                (url, credentials, broker),
                rounds=rounds,
                seconds=effort.pick(500, 300) / 1000,
                say=say,
            ),
        ]
    herd = _herd(say)
    budget = Budget(f"{_SIGNERS:,} signers on one role: source calls", herd["calls"], "at most", 1)
    tables.append(Table("a role nobody has asked for yet (50 ms a call)", _HERD, (herd,)))
    method = f"{rounds} interleaved rounds, medians; the stand-in checks every signature"
    return Result(title=TITLE, method=method, tables=tuple(tables), budgets=(budget,))


@contextlib.contextmanager
def _stand_in() -> Iterator[tuple[str, AwsCredentials]]:
    """Run AWS's stand-in as a process; give its URL and a user's key pair."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if process.stdin is None or process.stdout is None:
        raise TypeError("a pipe was asked for")
    try:
        url, key_id, secret = json.loads(process.stdout.readline())
        yield url, AwsCredentials(key_id, Secret(secret))
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _broker(source: _OneRole, url: str) -> Broker:
    ledger = open_ledger("sqlite://")
    context = BrokerContext(
        clock=SystemClock(),
        ledger=ledger,
        rng=lambda: 0.5,
        holder=lambda: "benchmark",
        release=ledger.close,
        watch=default().watch,
    )
    target = Target(platform="bedrock", region=_REGION, base_url=url)
    return Broker({_NAME: source}, context=context, targets={_NAME: target})


def _signatures(
    credentials: AwsCredentials, broker: Broker, *, rounds: int, say: Callable[[str], None]
) -> Table:
    """Compare what each puts on one request of 4 KiB: ours with its lease, copy and masking."""
    import httpx2
    from anthropic.lib.aws._auth import get_auth_headers

    from secretkit.claude import SigningAuth

    url = f"https://bedrock-runtime.{_REGION}.amazonaws.com"
    auth = SigningAuth(_NAME, broker=broker, base_url=url, service="bedrock", region=_REGION)
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 4096}]}).encode()
    request = httpx2.Request("POST", f"{url}/model/m/invoke", content=body)
    given = {
        "method": "POST",
        "url": str(request.url),
        "headers": request.headers,
        "aws_access_key": credentials.access_key_id,
        "aws_secret_key": credentials.secret.reveal(),
        "aws_session_token": None,
        "region": _REGION,
        "profile": None,
        "data": body,
        "service_name": "bedrock",
    }

    def ours() -> None:
        flow = auth.sync_auth_flow(request)
        next(flow)
        flow.close()

    subjects = [
        Subject(_SDK, "sign(**given)", {"sign": get_auth_headers, "given": given}),
        Subject(_OURS, "sign()", {"sign": ours}),
    ]
    found = interleaved(subjects, rounds=rounds, seconds=0.05, say=say)
    rows: list[Row] = [
        {
            "name": subject.name,
            "us": statistics.median(found[subject.name]) / 1000,
            "share": median_ratio(found[subject.name], found[_SDK]),
        }
        for subject in subjects
    ]
    return Table("one request of 4 KiB", _SIGNED, tuple(rows))


def _requests(
    place: tuple[str, AwsCredentials, Broker],
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Table:
    import anthropic

    from secretkit.claude import connect

    url, credentials, broker = place
    found: dict[str, list[float]] = {_SDK: [], _OURS: []}
    with (
        anthropic.AnthropicBedrock(
            aws_access_key=credentials.access_key_id,
            aws_secret_key=credentials.secret.reveal(),
            aws_region=_REGION,
            base_url=url,
            max_retries=0,
        ) as bare,
        connect(_NAME, platform="bedrock", broker=broker, max_retries=0) as ours,
    ):
        clients = {_SDK: bare, _OURS: ours}
        for client in clients.values():
            _ask(client)
        for number in range(rounds):
            say(f"requests, round {number + 1} of {rounds}")
            for name in turn(list(clients), number):
                found[name].append(_per_second(clients[name], seconds=seconds))
    rows: list[Row] = [
        {
            "name": name,
            "rps": statistics.median(values),
            "us": 1e6 / statistics.median(values),
            "share": median_ratio(values, found[_SDK]),
        }
        for name, values in found.items()
    ]
    note = "the stand-in checks signatures on this machine's cores; the share is what counts"
    return Table("messages.create, one thread", _ASKED, tuple(rows), note=note)


def _ask(client: anthropic.AnthropicBedrock) -> None:
    body: list[Any] = [{"role": "user", "content": "hello"}]
    client.messages.create(model=_MODEL, max_tokens=16, messages=body)


def _per_second(client: anthropic.AnthropicBedrock, *, seconds: float) -> float:
    done = 0
    with no_collection():
        began = time.perf_counter()
        while time.perf_counter() < began + seconds:
            _ask(client)
            done += 1
        return done / (time.perf_counter() - began)


def _herd(say: Callable[[str], None]) -> Row:
    import httpx2

    from secretkit.claude import SigningAuth

    say(f"{_SIGNERS} signers")
    url = f"https://bedrock-runtime.{_REGION}.amazonaws.com"
    end = datetime.now(UTC) + timedelta(hours=1)
    session = AwsCredentials("ASIA" + "B" * 16, Secret("s" * 40), Secret("t" * 300), end)
    source = _OneRole(session, delay=0.05)
    signed: list[str] = []
    lock = threading.Lock()
    with _broker(source, url) as broker:
        auth = SigningAuth(_NAME, broker=broker, base_url=url, service="bedrock", region=_REGION)

        def work() -> None:
            flow = auth.sync_auth_flow(httpx2.Request("POST", f"{url}/model/m/invoke", json={}))
            made = next(flow).headers["authorization"]
            flow.close()
            with lock:
                signed.append(made)

        taken = in_threads(_SIGNERS, work)
    return {
        "name": f"{_SIGNERS:,} threads",
        "signed": len(signed),
        "calls": source.calls,
        "ms": taken * 1000,
    }
