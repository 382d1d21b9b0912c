"""What a fetch costs beside the bare client of the same store, and a thousand waiters on a role."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.compared import REGION, ROLE, SECRET, compared
from benchmarks.measure import in_threads, interleaved, median_ratio
from benchmarks.report import TIMES, Budget, Column, Result, Row, Table
from secretkit.broker.clock import SystemClock
from secretkit.config.schema import Config, CredentialConfig
from secretkit.core.secret import Secret
from secretkit.testing.aws import AwsStub, Trust
from secretkit.testing.memory import MemoryProvider
from secretkit.wiring import Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.measure import Effort

TITLE: Final = "a fetch from a real source, beside its bare client"
_BUDGET: Final = 5.0  # per cent over the bare client
_WAITERS: Final = 1000
_USER: Final = "arn:aws:iam::123456789012:user/benchmark"
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
path, role, user, region, secret = sys.argv[1:]
with AwsStub(regions=(region,)) as aws, WorkloadStub(path) as agent:
    key = aws.accounts.add_user(user.rpartition("/")[2])
    aws.accounts.add_role(role, trust=Trust(principals=(user,)))
    aws.secrets.add(secret, "a-value-of-usual-length", region=region)
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
        for what, state, subjects in compared(folder, served, stack):
            said = f"{what}, {state}"
            found = interleaved(
                subjects,
                rounds=rounds,
                seconds=seconds,
                say=lambda text, said=said: say(f"{said}, {text}"),  # type: ignore[misc]
            )
            table = _table(said, found)
            tables.append(table)
            if state == "in hand":
                continue
            over = (table.rows[1]["share"] - 1) * 100
            budgets.append(Budget(f"{said}: over its client", over, "at most", _BUDGET, "%"))
    herd = _herd(effort.pick(_WAITERS, _WAITERS // 10), say)
    tables.append(Table("a role that nobody has asked for yet", _HERD, (herd,)))
    budgets.append(Budget(f"{herd['name']} on a role: calls", herd["calls"], "at most", 1))
    method = f"{rounds} interleaved rounds of {seconds * 1000:.0f} ms, medians; one thread"
    return Result(title=TITLE, method=method, tables=tuple(tables), budgets=tuple(budgets))


@contextlib.contextmanager
def _stand_ins(folder: Path) -> Iterator[tuple[str, str, Secret, str]]:
    """Run the stand-ins for AWS and for a SPIFFE agent as a process of their own."""
    words = [str(folder / "agent.sock"), ROLE, _USER, REGION, SECRET]
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
    with AwsStub(regions=(REGION,)) as stub:
        key = stub.accounts.add_user(_USER.rpartition("/")[2])
        stub.accounts.add_role(ROLE, trust=Trust(principals=(_USER,)))
        memory = MemoryProvider(clock=SystemClock())
        pair = {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret.reveal()}
        memory.set("pair", json.dumps(pair))
        options = {
            "source": "memory:pair",
            "endpoint": stub.url(),
            "region": REGION,
            "assume_role": {"role_arn": ROLE},
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
