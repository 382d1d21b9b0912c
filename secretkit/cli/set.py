"""``secretkit set``: stores a secret from a hidden prompt or from standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from secretkit.cli.output import print_json
from secretkit.cli.prompt import ended_by_signals, typed
from secretkit.cli.root import Command
from secretkit.cli.session import Session, local_ref
from secretkit.core.credential import KINDS, of_kind
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, SecretError
from secretkit.ports import Event, Writable

if TYPE_CHECKING:
    from secretkit.core.ref import SecretRef

__all__ = ["command"]

_MOST: Final = 1 << 20


@click.command("set", cls=Command)
@click.argument("name")
@click.argument("source", required=False, metavar="[-]")
@click.option("--kind", type=click.Choice(sorted(KINDS)), help="Refuse a value of another shape.")
@click.option("--expect-version", metavar="N", help="Only while N is the current version; 0: none.")
@click.option(
    "--newline",
    type=click.Choice(["refuse", "keep", "strip"]),
    default="refuse",
    show_default=True,
    help="What to do with a line break at the end of standard input.",
)
@click.pass_obj
def command(  # noqa: PLR0913 - one parameter an option
    session: Session,
    name: str,
    *,
    source: str | None,
    kind: str | None,
    expect_version: str | None,
    newline: str,
) -> None:
    """Store a secret: NAME in the local store, or a reference to a store that can be written.

    The value is asked for twice and not shown; with - it is read from standard input. It is never
    an argument: those stand in the shell's history and in the list of processes.
    """
    if source not in {None, "-"}:
        del source
        raise click.UsageError("a value is never an argument; leave it out, or use - for stdin")
    ref = local_ref(name)
    provider = session.toolkit.resolve(ref)
    if not isinstance(provider, Writable):
        raise ConfigError(
            f"the provider {ref.provider!r} cannot be written",
            hint="store it there with its own tool, or in the local store: secretkit set NAME",
        )
    secret = _from_stdin(newline) if source == "-" else _from_prompt(ref)
    of_kind(kind or _kind_in_use(session, ref), secret)
    session.audit(Event.SECRET_WRITTEN, name=ref.path, ref=str(ref))
    stored = provider.write(ref, secret, expected_version=expect_version)
    if session.json:
        print_json({"ref": str(ref), "version": stored.version, "created_at": stored.created_at})
    else:
        session.say(f"stored {ref}" + (f", version {stored.version}" if stored.version else ""))


def _kind_in_use(session: Session, ref: SecretRef) -> str:
    """Give the kind of the credential that reads ``ref``, so that a bad value is refused now."""
    for credential in session.toolkit.config.credentials.values():
        if ref in credential.sources:
            return credential.kind
    return "opaque"


def _from_prompt(ref: SecretRef) -> Secret:
    if not sys.stdin.isatty():
        raise ConfigError(
            "there is no terminal to ask on",
            hint="pipe the value in: … | secretkit set NAME -",
        )
    with ended_by_signals():
        first = typed(f"Value of {ref} (hidden): ")
        if first != typed("Again: "):
            raise SecretError("the two values differ; nothing was stored", hint="try again")
    return first


def _from_stdin(newline: str) -> Secret:
    found = _read_stdin(newline)
    if isinstance(found, SecretError):
        raise found
    return found


def _read_stdin(newline: str) -> Secret | SecretError:
    """Give the secret on stdin, or the error: this frame holds the text, so it does not raise."""
    raw = sys.stdin.buffer.read(_MOST + 4)
    if len(raw) > _MOST:
        return SecretError(f"standard input is longer than {_MOST} bytes", hint="is it a secret?")
    if raw.endswith(b"\n") and newline != "keep":
        if newline == "refuse":
            return SecretError(
                "standard input ends with a line break",
                hint="use printf %s instead of echo, or say --newline=strip or --newline=keep",
            )
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return Secret(raw.decode())
    except UnicodeDecodeError:
        return SecretError("standard input is not UTF-8 text", hint="encode it first: base64 -w0")
    except SecretError as error:
        return error.fresh()
