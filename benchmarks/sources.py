"""What a fetch costs beside the bare client of the same store, and a thousand waiters on a role."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measure import Subject, in_threads, interleaved, median_ratio
from benchmarks.report import TIMES, Budget, Column, Result, Row, Table
from secretkit.broker.clock import SystemClock
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.identity import open_identity
from secretkit.providers.aws import source as aws
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.aws import AwsStub, Trust
from secretkit.testing.bao import Bao, find_bao
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider
from secretkit.wiring import Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.measure import Effort
    from secretkit.ports import IdentitySource, ProviderContext

    Compared = tuple[str, str, list[Subject]]

TITLE: Final = "a fetch from a real source, beside its bare client"
_BUDGET: Final = 5.0  # per cent over the bare client
_WAITERS: Final = 1000
_ENOUGH: Final = timedelta(seconds=10)
_REGION: Final = "us-west-2"
_ROLE: Final = "arn:aws:iam::123456789012:role/benchmark"
_USER: Final = "arn:aws:iam::123456789012:user/benchmark"
_AUDIENCE: Final = "https://api.anthropic.com"
_COLUMNS: Final = (
    Column("name", "call"),
    Column("us", "median", "µs"),
    Column("share", "of the bare client's", TIMES),
)
_HERD: Final = (
    Column("name", "callers"),
    Column("leases", "leases"),
    Column("calls", "source calls"),
    Column("ms", "all of them", "ms"),
)
_SERVE: Final = """
import json, sys
from secretkit.testing.aws import AwsStub, Trust
from secretkit.testing.workload import WorkloadStub
path, role, user, region = sys.argv[1:]
with AwsStub(regions=(region,)) as aws, WorkloadStub(path) as agent:
    key = aws.accounts.add_user(user.rpartition("/")[2])
    aws.accounts.add_role(role, trust=Trust(principals=(user,)))
    agent.register(f"spiffe://{agent.domain.name}/benchmark")
    print(json.dumps([aws.url(), key.access_key_id, key.secret.reveal(), agent.url]), flush=True)
    sys.stdin.read()
"""


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure each source warm and cold, then the herd."""
    tables: list[Table] = []
    budgets: list[Budget] = []
    rounds, seconds = effort.pick(21, 3), effort.pick(100, 25) / 1000
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sk-bench-")))
        served = stack.enter_context(_stand_ins(folder))
        for what, state, subjects in _compared(folder, served, stack):
            said = f"{what}, {state}"
            found = interleaved(
                subjects,
                rounds=rounds,
                seconds=seconds,
                say=lambda text, said=said: say(f"{said}, {text}"),  # type: ignore[misc]
            )
            table = _table(said, found)
            tables.append(table)
            over = (table.rows[1]["share"] - 1) * 100
            budgets.append(Budget(f"{said}: over its client", over, "at most", _BUDGET, "%"))
    herd = _herd(effort.pick(_WAITERS, _WAITERS // 10), say)
    tables.append(Table("a role that nobody has asked for yet", _HERD, (herd,)))
    budgets.append(Budget(f"{herd['name']} on a role: calls", herd["calls"], "at most", 1))
    method = f"{rounds} interleaved rounds of {seconds * 1000:.0f} ms, medians; one thread"
    return Result(title=TITLE, method=method, tables=tuple(tables), budgets=tuple(budgets))


def _compared(
    folder: Path, served: tuple[str, str, Secret, str], stack: contextlib.ExitStack
) -> Iterator[Compared]:
    """Give each comparison: the bare client first, then ours."""
    if find_bao():
        bao = stack.enter_context(Bao.dev(folder))
        bao.write("secret/data/app", data={"key": "a-value-of-usual-length"})
        yield from _vault(bao)
    url, key_id, secret, socket = served
    pair = {"AccessKeyId": key_id, "SecretAccessKey": secret.reveal()}
    yield from _sts(url, pair)
    yield from _spiffe(socket, stack)


def _vault(bao: Bao) -> Iterator[Compared]:
    import hvac

    context = _context({"token": bao.root.reveal()})
    table = {"address": bao.url, "auth": {"method": "token", "token": "memory:token"}}
    ref = SecretRef("vault", "secret/app", field="key")

    def bare() -> Any:
        return hvac.Client(url=bao.url, token=bao.root.reveal()).secrets.kv.v2

    def read(store: Any) -> str:
        answer = store.read_secret_version("app", raise_on_deleted_version=True)
        value: str = answer["data"]["data"]["key"]
        return value

    def opened() -> VaultProvider:
        return VaultProvider.open(table, context)

    yield from _pairs(
        "Vault KV on OpenBao", ("hvac", bare, read), (opened, lambda one: _fetched(one, ref))
    )


def _sts(url: str, pair: Mapping[str, str]) -> Iterator[Compared]:
    import boto3

    context = _context({"pair": json.dumps(pair)})
    role = {"role_arn": _ROLE, "session_name": "benchmark"}
    options = {
        "source": "memory:pair",
        "endpoint": url,
        "region": _REGION,
        "assume_role": role,
    }

    def bare() -> Any:
        return boto3.client(
            "sts",
            endpoint_url=url,
            region_name=_REGION,
            aws_access_key_id=pair["AccessKeyId"],
            aws_secret_access_key=pair["SecretAccessKey"],
        )

    def assume(client: Any) -> Any:
        return client.assume_role(RoleArn=_ROLE, RoleSessionName="benchmark", DurationSeconds=900)

    def opened() -> aws.AwsSource:
        return aws.open_source(options, ref="aws:benchmark", context=context)

    yield from _pairs("STS AssumeRole", ("boto3", bare, assume), (opened, _acquired))


def _spiffe(socket: str, stack: contextlib.ExitStack) -> Iterator[Compared]:
    import spiffe

    table = {"type": "spiffe", "socket": socket}
    context = _context({})

    def bare() -> Any:
        return spiffe.WorkloadApiClient(socket)

    def ask(client: Any) -> Any:
        return client.fetch_jwt_svid({_AUDIENCE})

    def ask_once(client: Any) -> Any:
        with contextlib.closing(client):
            return ask(client)

    def opened() -> IdentitySource:
        return open_identity(table, audience=_AUDIENCE, context=context)

    kept = stack.enter_context(contextlib.closing(bare()))
    yield from _pairs("a JWT-SVID", ("spiffe", lambda: kept, ask), (opened, _asserted), "warm")
    yield from _pairs("a JWT-SVID", ("spiffe", bare, ask_once), (opened, _asserted), "cold")


def _pairs(
    what: str,
    bare: tuple[str, Callable[[], Any], Callable[[Any], Any]],
    ours: tuple[Callable[[], Any], Callable[[Any], Any]],
    *states: str,
) -> Iterator[Compared]:
    """Compare what was made once (warm), and what is made anew for each call (cold)."""
    name, make, use = bare
    opened, fetch = ours
    for state in states or ("warm", "cold"):
        call = "use(made)" if state == "warm" else "use(make())"
        pairs = [(name, make, use), ("secretkit", opened, fetch)]
        subjects = [
            Subject(
                one,
                call,
                {"use": used, "make": maker} | ({"made": maker()} if state == "warm" else {}),
            )
            for one, maker, used in pairs
        ]
        yield what, state, subjects


def _asserted(identity: IdentitySource) -> object:
    return identity.assertion(timeout=_ENOUGH)


def _fetched(provider: VaultProvider, ref: SecretRef) -> object:
    return provider.fetch(ref, timeout=_ENOUGH)


def _acquired(source: aws.AwsSource) -> object:
    return source.acquire(timeout=_ENOUGH, refused=lambda _: False)


def _context(values: Mapping[str, str]) -> ProviderContext:
    memory = MemoryProvider(clock=SystemClock())
    for name, value in values.items():
        memory.set(name, value)
    return provider_context(providers={"memory": memory})


@contextlib.contextmanager
def _stand_ins(folder: Path) -> Iterator[tuple[str, str, Secret, str]]:
    """Run the stand-ins for AWS and for a SPIFFE agent as a process of their own."""
    words = [str(folder / "agent.sock"), _ROLE, _USER, _REGION]
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise TypeError("a pipe was asked for")
    try:
        url, key_id, secret, socket = json.loads(process.stdout.readline())
        yield url, key_id, Secret(secret), socket
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _table(title: str, found: Mapping[str, list[float]]) -> Table:
    base = next(iter(found.values()))
    rows: list[Row] = [
        {
            "name": name,
            "us": statistics.median(values) / 1000,
            "share": median_ratio(values, base),
        }
        for name, values in found.items()
    ]
    return Table(title, _COLUMNS, tuple(rows))


def _herd(count: int, say: Callable[[str], None]) -> Row:
    """Let many threads ask a broker for one role, whose STS is the stand-in."""
    say(f"{count} waiters")
    with AwsStub(regions=(_REGION,)) as stub:
        key = stub.accounts.add_user(_USER.rpartition("/")[2])
        stub.accounts.add_role(_ROLE, trust=Trust(principals=(_USER,)))
        memory = MemoryProvider(clock=SystemClock())
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret.reveal()}
        memory.set("pair", json.dumps(pair))
        options = {
            "source": "memory:pair",
            "endpoint": stub.url(),
            "region": _REGION,
            "assume_role": {"role_arn": _ROLE},
        }
        table = CredentialConfig(name="role", kind="aws", options=options)
        given: list[str] = []
        toolkit = Toolkit(
            Config(credentials={"role": table}), environ={}, providers={"memory": memory}
        )
        with toolkit.broker() as broker:
            taken = in_threads(count, lambda: given.append(broker.lease("role").id))
        calls = stub.count("sts:AssumeRole")
    return {
        "name": f"{count:,} threads",
        "leases": len(given),
        "calls": calls,
        "ms": taken * 1000,
    }
