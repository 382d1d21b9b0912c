"""``secretkit demo``: the main job, end to end, on this machine and without an account."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from secretkit.cli.output import print_json
from secretkit.cli.rehearsal import Figures, Plan, rehearse
from secretkit.cli.root import Command
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretkit.cli.session import Session

__all__ = ["command"]


@click.command("demo", cls=Command)
@click.option("--log", type=click.Path(path_type=Path), help="Keep the stand-in's own log here.")
@click.option("--live", is_flag=True, help="Make one real, free call instead of all this.")
@click.option("--key-from", metavar="REF", help="With --live: where the key is, as a reference.")
@click.pass_obj
def command(session: Session, *, log: Path | None, live: bool, key_from: str | None) -> None:
    """Run Claude clients through 20 key changes, an outage and a 401, offline.

    Real anthropic clients, made once, talk to a strict stand-in for the Claude API on loopback,
    with keys from an encrypted local store in a temporary directory.
    """
    if live:
        _live(key_from, session)
        return
    with tempfile.TemporaryDirectory(prefix="secretkit-demo-") as made:
        home = Path(made).resolve()
        with _progress(Plan().rotations, shown=not (session.json or session.quiet)) as report:
            figures = rehearse(home, plan=Plan(), report=report)
        if log is not None:
            log.write_bytes((home / "stand-in.jsonl").read_bytes())
    if session.json:
        print_json(dataclasses.asdict(figures))
    else:
        _table(figures, session)
    if not figures.passed:
        sys.exit(1)


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal's stderr while it runs; nothing when piped."""
    if not (shown and sys.stderr.isatty()):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where a person looks
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("key changes under load", total=total)
        yield lambda number: bar.update(task, completed=number)


def _table(figures: Figures, session: Session) -> None:
    rows: list[tuple[str, object]] = [
        ("requests answered", figures.requests),
        ("streams answered", figures.streams),
        ("key changes", figures.rotations),
        ("401s sent by the stand-in", figures.rejected_upstream),
        ("store away (seconds)", figures.outage_seconds),
        ("failures seen by a caller", figures.failed),
        ("longest wait (ms)", figures.longest_wait_ms),
        ("calls to the store", figures.source_calls),
        ("secrets found in logs and files", figures.leaks),
        ("audit entries, chain intact", f"{figures.audit_entries}, {_yes(figures.audit_intact)}"),
    ]
    session.rows(
        "figures",
        [{"what": name, "count": str(value)} for name, value in rows],
        columns=["what", "count"],
    )
    for name, count in figures.failures.items():
        session.say(f"failed with {name}: {count}")
    done = f"in {figures.seconds} s, with two clients that were made once"
    session.say(f"{'passed' if figures.passed else 'FAILED'} {done}")


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _live(key_from: str | None, session: Session) -> None:
    """List one model with a key that the user named: proves the way, costs nothing."""
    if key_from is None:
        raise ConfigError(
            "a live call needs to be told where the key is; none is looked for",
            hint="secretkit demo --live --key-from env:ANTHROPIC_API_KEY",
        )
    from secretkit.broker.blocking import Broker  # noqa: PLC0415
    from secretkit.claude import connect  # noqa: PLC0415

    with Broker.from_refs(claude=key_from) as broker, connect("claude", broker=broker) as client:
        first = next(iter(client.models.list(limit=1)), None)
        lease = broker.lease("claude")
    answer: dict[str, Any] = {
        "live": True,
        "model": first.id if first else None,
        "generation": lease.generation,
    }
    if session.json:
        print_json(answer)
    else:
        click.echo(f"the service took the key and named a model: {answer['model']}")
