"""``secretkit run``: starts a command with credentials in its environment or in files."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from secretkit.cli.child import forwarding, run_child
from secretkit.cli.handout import leased
from secretkit.cli.handover import SecretFiles, inherited, secret_files, variables_used
from secretkit.cli.root import Command
from secretkit.cli.session import Session, given_name, given_ref, provider_of
from secretkit.config.schema import nearest
from secretkit.core.credential import AwsCredentials, secrets_of
from secretkit.errors import ConfigError, SecretkitError
from secretkit.ports import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretkit.core.secret import Secret
    from secretkit.redact import StreamMasker

__all__ = ["command"]

_VARIABLES: Final = {
    "anthropic-api-key": "ANTHROPIC_API_KEY",
    "anthropic-access-token": "ANTHROPIC_AUTH_TOKEN",
    "anthropic-federation": "ANTHROPIC_AUTH_TOKEN",
    "aws": "AWS_SECRET_ACCESS_KEY",
}
# Each would make an SDK look past the variables that hold the credential.
_SHADOWING: Final = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"}
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER: Final = re.compile(r"\{file(?::([^{}]+))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Which credential goes where: variables with values, variables with paths, ``{file}``."""

    values: tuple[tuple[str, str], ...]
    paths: tuple[tuple[str, str], ...]
    default: str
    command: tuple[str, ...]

    def names(self) -> list[str]:
        """Give each credential once."""
        placed = [
            match.group(1) or self.default
            for word in self.command
            for match in _PLACEHOLDER.finditer(word)
        ]
        return list(dict.fromkeys([name for _, name in (*self.values, *self.paths)] + placed))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What stands behind a name: its secret; for a credential its lease, for AWS the rest of it."""

    secret: Secret
    lease_id: str = ""
    aws: AwsCredentials | None = None

    def secrets(self) -> tuple[Secret, ...]:
        """Give all that must not be seen in the output."""
        return (self.secret,) if self.aws is None else secrets_of(self.aws)


@click.command(
    "run",
    cls=Command,
    context_settings={"allow_interspersed_args": False},
)
@click.option("--env", "env", multiple=True, metavar="VAR=NAME", help="Put NAME's secret into VAR.")
@click.option("--file", "file", multiple=True, metavar="VAR=NAME", help="Put a file's path there.")
@click.option("--keep", multiple=True, metavar="VAR", help="Pass on this inherited credential.")
@click.option("--no-masking", is_flag=True, help="Leave the output alone, and the terminal to it.")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[--] CMD...")
@click.pass_obj
def command(  # noqa: PLR0913 - one parameter an option
    session: Session,
    *,
    env: tuple[str, ...],
    file: tuple[str, ...],
    keep: tuple[str, ...],
    no_masking: bool,
    words: tuple[str, ...],
) -> int:
    """Run CMD with credentials in its environment.

    Without --env and --file the one Claude credential of the configuration goes into
    ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, or for AWS into AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. NAME is a credential or a reference; --env NAME
    alone takes its usual variables. In CMD, {file} and {file:NAME} become the path of a file that
    holds the secret and is removed afterwards.

    Inherited variables such as *_KEY and *_TOKEN, URLs with a password, and what the configuration
    reads itself are not passed on unless --keep names them.
    CMD's exit code and signals are kept. Known secrets are masked in its output, which for that
    goes through a pipe; --no-masking gives CMD the terminal itself.
    """
    _check_kept(session, keep)
    plan = _plan(session, env=env, file=file, words=words)
    for name in plan.names():
        _open(session, name)
    held = _lease_all(session, plan)
    secrets = {name: one.secret for name, one in held.items()}
    used = variables_used(session.toolkit.config)
    if any(one.aws for one in held.values()):
        used |= _SHADOWING
    environ, left_out = inherited(session.environ, keep=keep, used=used)
    if left_out:
        session.say(f"not passed on: {', '.join(left_out)} (--keep VAR passes one)")
    with forwarding() as forward, secret_files() as files:
        environ |= {variable: str(files.path(n, secrets[n])) for variable, n in plan.paths}
        words = tuple(_filled(word, plan, secrets, files) for word in plan.command)
        _put(environ, plan, held)
        mask = None if no_masking else _masker(session, held)
        code = run_child(words, environ, mask=mask, forward=forward)
    _end_leases(session, [one.lease_id for one in held.values() if one.lease_id])
    return code


def _check_kept(session: Session, keep: Sequence[str]) -> None:
    for name in keep:
        if name in session.environ:
            continue
        shown = given_name(name) if _VARIABLE.fullmatch(name) else "VAR"
        raise click.UsageError(f"--keep {shown}: this variable is not set")


def _plan(
    session: Session, *, env: Sequence[str], file: Sequence[str], words: tuple[str, ...]
) -> _Plan:
    values, paths = _pairs(session, env, "--env"), _pairs(session, file, "--file")
    placed = [match.group(1) for word in words for match in _PLACEHOLDER.finditer(word)]
    for name in placed:
        given_name(name or "")
    given = list(dict.fromkeys(name for _, name in (*values, *paths)))
    default = ""
    if None in placed and len(given) == 1:
        default = given[0]
    elif None in placed or not (given or placed):
        default = _only_credential(session)
    for name in filter(None, (*given, *placed)):
        _declared(session, name)
    _refuse_halves(session, [*values, *paths, *(("", name or default) for name in placed)])
    if not given and not placed:
        values = ((_variable_for(session, default), default),)
    return _Plan(values=values, paths=paths, default=default, command=words)


def _pairs(session: Session, given: Sequence[str], option: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in given:
        variable, equals, name = given_name(text).partition("=")
        if not equals and option == "--env":
            _declared(session, text)
            variable, name = _variable_for(session, text), text
        if not name or not _VARIABLE.fullmatch(variable):
            raise click.UsageError(f"{option} takes VAR=NAME, the name of a variable first")
        pairs.append((variable, name))
    twice = {variable for variable, _ in pairs}
    if len(twice) != len(pairs):
        raise click.UsageError(f"{option} names one variable twice")
    return tuple(pairs)


def _refuse_halves(session: Session, pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse to put one of a credential's three values where it is of no use alone."""
    credentials = session.toolkit.config.credentials
    for variable, name in pairs:
        kind = credentials[name].kind if name in credentials else ""
        if kind == AwsCredentials.kind and variable != _VARIABLES[kind]:
            raise ConfigError(
                "a credential of kind 'aws' is three values and takes their usual variables",
                hint=f"secretkit run --env {name} -- CMD",
                key_path=f"credentials.{name}",
            )


def _declared(session: Session, name: str) -> None:
    """Refuse what is no name and no reference here; a value typed in its place is not repeated."""
    config = session.toolkit.config
    if ":" not in name and name in config.credentials:
        return
    with suppress(SecretkitError):
        if ":" in name:
            provider_of(session, given_ref(name))
            return
    near = nearest(name, config.credentials)
    del name
    raise ConfigError(
        "no credential and no provider of this configuration is called this "
        "(it is not shown: it may be a secret)",
        hint=near or "VAR=NAME takes a name or a reference, not a value: secretkit config show",
    )


def _open(session: Session, name: str) -> None:
    """Open the providers behind ``name``, so that only what can be asked enters the audit."""
    if ":" in name:
        session.toolkit.resolve(given_ref(name))
    else:
        session.toolkit.source(name)


def _only_credential(session: Session) -> str:
    table = session.toolkit.config.credentials
    for_claude = [name for name, one in table.items() if one.kind in _VARIABLES.keys() - {"aws"}]
    fitting = for_claude or [name for name, one in table.items() if one.kind == "aws"]
    if len(fitting) != 1:
        found = ", ".join(sorted(fitting)) or "none"
        raise ConfigError(
            f"which credential goes to the command is not clear (it could be: {found})",
            hint="say it: secretkit run --env ANTHROPIC_API_KEY=NAME -- CMD",
        )
    return fitting[0]


def _variable_for(session: Session, name: str) -> str:
    kind = session.toolkit.config.credential(name).kind
    if kind not in _VARIABLES:
        raise ConfigError(
            f"a credential of kind {kind!r} has no variable of its own",
            hint=f"name one: --env VAR={name}",
            key_path=f"credentials.{name}",
        )
    return _VARIABLES[kind]


def _lease_all(session: Session, plan: _Plan) -> dict[str, _Held]:
    """Give each secret, and the lease it came with if it is a credential's."""
    session.audit(Event.RUN_STARTED, name=plan.names()[0])
    found: dict[str, _Held] = {}
    for name in plan.names():
        if ":" in name:
            ref = given_ref(name)
            session.audit(Event.SECRET_READ, ref=str(ref))
            fetched = session.toolkit.fetch(ref, timeout=session.fetch_timeout)
            found[name] = _Held(secret=fetched.secret)
        else:
            lease = leased(session, name)
            one = lease.credential
            aws = one if isinstance(one, AwsCredentials) else None
            found[name] = _Held(secret=one.secret, lease_id=lease.id, aws=aws)
    return found


def _filled(word: str, plan: _Plan, secrets: dict[str, Secret], files: SecretFiles) -> str:
    def path(match: re.Match[str]) -> str:
        name = match.group(1) or plan.default
        return str(files.path(name, secrets[name]))

    return _PLACEHOLDER.sub(path, word)


def _put(environ: dict[str, str], plan: _Plan, held: dict[str, _Held]) -> None:
    """Put the values into the environment; a Secret holds no NUL, so each can stand there."""
    for variable, name in plan.values:
        environ[variable] = held[name].secret.reveal()
        aws = held[name].aws
        if aws is not None:
            environ["AWS_ACCESS_KEY_ID"] = aws.access_key_id
            environ.pop("AWS_SESSION_TOKEN", None)
        if aws is not None and aws.session_token is not None:
            environ["AWS_SESSION_TOKEN"] = aws.session_token.reveal()


def _masker(session: Session, held: dict[str, _Held]) -> Callable[[], StreamMasker]:
    from secretkit.redact import MIN_LENGTH, StreamMasker  # noqa: PLC0415 - not with --no-masking

    for name, one in held.items():
        if len(one.secret.reveal()) < MIN_LENGTH:
            session.say(f"{name} is shorter than {MIN_LENGTH} characters and is not masked")
    every = [secret for one in held.values() for secret in one.secrets()]
    return lambda: StreamMasker(every)


def _end_leases(session: Session, ids: Sequence[str]) -> None:
    """Note that the child is gone. Its exit code matters more than a ledger that fails now."""
    with suppress(SecretkitError):
        for lease_id in ids:
            session.toolkit.ledger().end(lease_id, at=session.now())
