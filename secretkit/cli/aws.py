"""``secretkit aws``: gives leased AWS credentials to AWS's own tools and SDKs."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from secretkit.cli import exits
from secretkit.cli.get import confirm_shown
from secretkit.cli.handout import leased
from secretkit.cli.output import prose
from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name
from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, ProviderUnavailableError, SecretkitError
from secretkit.ports import Event
from secretkit.providers.aws.document import write_process

if TYPE_CHECKING:
    from secretkit.cli.session import Session
    from secretkit.gateway.container import ContainerServer

__all__ = ["command"]

_LARGEST: Final = 65_535
_SHORTEST: Final = 20  # characters of a token: one that nobody guesses
_INSIDE: Final = "SECRETKIT_CREDENTIAL_PROCESS"  # for whom we run already


@click.group("aws", cls=LazyGroup)
def command() -> None:
    """Give leased AWS credentials to AWS's own tools and SDKs."""


@command.command("credential-process")
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Show them on a terminal without asking.")
@click.pass_obj
def credential_process(session: Session, name: str, *, yes: bool) -> None:
    """Print credential NAME as a credential_process of AWS's configuration does.

    In ~/.aws/config: credential_process = secretkit aws credential-process NAME
    """
    _check_kind(session, name)
    _check_circle(session, name)
    confirm_shown(session, yes="yes" if yes else "ask")
    lease = leased(session, name)
    if not isinstance(lease.credential, AwsCredentials):
        raise _wrong_kind(session, name)
    sys.stdout.flush()
    sys.stdout.buffer.write(write_process(lease.credential, ends_at=lease.expires_at) + b"\n")
    sys.stdout.buffer.flush()


@command.command("serve")
@click.argument("name")
@click.option(
    "--listen",
    default="127.0.0.1:0",
    metavar="HOST:PORT",
    help="Where: an address of this machine only. Port 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the clients' token from this file (0600), or make it.",
)
@click.pass_obj
def serve(session: Session, name: str, *, listen: str, token_file: Path | None) -> int:
    """Serve credential NAME to AWS SDKs, as a container's endpoint does.

    Runs until SIGINT or SIGTERM. Prints the two variables that an SDK needs. Without --token-file
    the token stands in a file of the state directory that is removed at the end.
    """
    from secretkit.gateway.container import ContainerServer  # noqa: PLC0415 - not for the others

    host, port = _place(listen)
    _check_kind(session, name)
    session.audit(Event.SECRET_READ, name=name, ref=session.toolkit.config.credential(name).label)
    broker = session.toolkit.broker()
    broker.lease(name)  # what cannot be leased now is said now, not to the first client
    path = token_file or session.toolkit.state_dir / f"aws-{name}-{os.getpid()}.token"
    token = _token(path.absolute())
    try:
        server = ContainerServer(
            lambda: broker.lease(name), token=token, note=lambda error: _say(session, error)
        )
        asyncio.run(_serve(server, host, port, path.absolute()))
    finally:
        if token_file is None:
            path.unlink(missing_ok=True)
    return exits.OK


async def _serve(server: ContainerServer, host: str, port: int, path: Path) -> None:
    """Serve until SIGINT or SIGTERM, or until the terminal is closed."""
    try:
        url = await server.start(host=host, port=port)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
    else:
        ended = asyncio.Event()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
            numbers.append(signal.SIGHUP)
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        sys.stdout.write(f"AWS_CONTAINER_CREDENTIALS_FULL_URI={url}\n")
        sys.stdout.write(f"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={path}\n")
        sys.stdout.flush()
        await ended.wait()
        await server.stop()
        return
    raise ProviderUnavailableError(
        f"{host}:{port} cannot be listened on: {reason}", hint="choose another port, or 0"
    )


def _place(listen: str) -> tuple[str, int]:
    from secretkit.gateway.container import LOOPBACK  # noqa: PLC0415 - as above

    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if host not in LOOPBACK:
        raise click.UsageError(
            "--listen takes an address of this machine only, such as 127.0.0.1:0: AWS's SDKs "
            "send their token to no other, and whoever reaches the port may try"
        )
    if not (port.isascii() and port.isdecimal()) or int(port) > _LARGEST:
        raise click.UsageError("--listen takes HOST:PORT, for example 127.0.0.1:9911")
    return host, int(port)


def _token(path: Path) -> Secret:
    """Give the token in a file that only we can read; a file that is not there is made."""
    from secretkit.providers.ownership import read_private, write_once  # noqa: PLC0415 - as above

    write_once(str(path), Secret(secrets.token_urlsafe(32)))
    text = read_private(str(path)).decode("ascii", "replace")
    is_one_word = text.isprintable() and text.isascii() and text == text.strip()
    if not is_one_word or len(text) < _SHORTEST:
        del text
        raise ConfigError(
            f"{path}: this is no token for a header of at least {_SHORTEST} characters",
            hint="one line of ASCII without a line end; remove the file, and it is made",
        )
    return Secret(text)


def _check_kind(session: Session, name: str) -> None:
    if session.toolkit.config.credential(given_name(name)).kind != AwsCredentials.kind:
        raise _wrong_kind(session, name)


def _check_circle(session: Session, name: str) -> None:
    """Refuse to be our own credential_process: with a base that leads here, without an end."""
    if session.environ.get(_INSIDE) == name:
        raise ConfigError(
            "these credentials start from a profile whose credential_process is this command",
            hint='name another start: base = "profile:NAME"',
            key_path=f"credentials.{name}.base",
        )
    os.environ[_INSIDE] = name  # noqa: TID251 - botocore's own programs inherit it


def _wrong_kind(session: Session, name: str) -> ConfigError:
    table = session.toolkit.config.credential(name)
    return ConfigError(
        f"this is a credential of kind {table.kind!r}, not of kind 'aws'",
        hint=f"secretkit token {name}",
        key_path=table.key_path,
    )


def _say(session: Session, error: SecretkitError) -> None:
    if not session.quiet:
        prose(f"secretkit aws serve: {exits.verdict(error)}: {error}", f"hint: {error.hint}")
