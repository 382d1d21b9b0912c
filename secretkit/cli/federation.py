"""``secretkit federation``: plan, apply, profile."""

from __future__ import annotations

import json
import sys
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from secretkit.cli import exits
from secretkit.cli.output import print_json
from secretkit.cli.profile import command as profile
from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name, given_ref
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretkit.claude.admin import AdminApi
    from secretkit.claude.drift import Step
    from secretkit.claude.plan import Plan
    from secretkit.cli.output import Cell
    from secretkit.cli.session import Session
    from secretkit.config.schema import CredentialConfig
    from secretkit.core.secret import Secret

__all__ = ["command"]

_KIND: Final = "anthropic-federation"
_MOST: Final = 256 * 1024


@click.group("federation", cls=LazyGroup)
def command() -> None:
    """Set up Claude to trust a workload's identity, or keep a profile."""


def _planned(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and the options that say what to plan."""
    options = (
        click.argument("credential", metavar="NAME"),
        click.option("--issuer", default="", metavar="URL", help="The token's iss."),
        click.option("--subject", default="", metavar="SUB", help="The token's sub, or PREFIX*."),
        click.option("--audience", default="", metavar="AUD", help="The token's aud."),
        click.option(
            "--scope",
            default="workspace:inference",
            show_default=True,
            metavar="SCOPE",
            help="What the token may do.",
        ),
        click.option("--name", default="", metavar="SLUG", help="What to call the three."),
        click.option(
            "--jwks",
            type=click.Path(dir_okay=False, exists=True, path_type=Path),
            metavar="FILE",
            help="The issuer's public keys, where Claude cannot fetch them.",
        ),
    )
    return reduce(lambda made, option: option(made), reversed(options), function)


@command.command("plan")
@_planned
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each as a JSON file.",
)
@click.pass_obj
def plan(session: Session, /, credential: str, *, write: Path | None, **given: Any) -> None:  # noqa: ANN401 - click's options
    """Print the issuer, service account and rule that credential NAME needs.

    Without --issuer and --subject the identity is asked for a token, to see what it says.
    """
    made = _plan(session, credential, given)
    if write is not None:
        _write(write, made)
    if session.json:
        print_json({**made.documents(), "notes": list(made.notes)})
        return
    session.rows("plan", _rows(made), columns=["what", "field", "value"])
    for note in made.notes:
        session.say(f"note: {note}")


@command.command("apply")
@_planned
@click.option("--token", "reference", metavar="REF", help="Where the token is; else it is asked.")
@click.pass_obj
def apply(session: Session, /, credential: str, *, reference: str | None, **given: Any) -> int:  # noqa: ANN401 - click's options
    """Create what 'plan' prints and is missing; change nothing that is there.

    Needs an OAuth access token with the scope org:admin, never an API key. Exit 1 if something
    differs or is left to do.
    """
    from secretkit.claude.drift import apply_plan  # noqa: PLC0415 - not for --help

    made = _plan(session, credential, given)
    api = _admin_api(session, credential, _admin_token(session, reference))
    steps: list[Step] = []
    try:
        apply_plan(made, api, done=steps.append)
    finally:
        rows: list[Mapping[str, Cell]] = [
            {name: getattr(step, name) for name in ("what", "name", "id", "state", "note")}
            for step in steps
        ]
        session.rows("steps", rows, columns=["what", "name", "id", "state", "note"])
    return _ended(session, steps)


command.add_command(profile)


def _ended(session: Session, steps: list[Step]) -> int:
    """Say what goes into the configuration, and whether something is left to do."""
    from secretkit.claude.drift import CREATED, UNCHANGED  # noqa: PLC0415 - as above

    ids = {step.what: step.id for step in steps}
    if ids.get("rule"):
        session.say("put these into the credential's table:")
        session.say(f'federation_rule_id = "{ids["rule"]}"')
        session.say(f'service_account_id = "{ids["service account"]}"')
    whole = all(step.state in {CREATED, UNCHANGED} for step in steps)
    return exits.OK if whole else exits.CHECK_FAILED


def _plan(session: Session, credential: str, given: Mapping[str, Any]) -> Plan:
    from secretkit.claude.plan import make_plan, public_keys  # noqa: PLC0415 - as above

    table = _table(session, credential)
    issuer, subject, audience = _said(session, table, given)
    return make_plan(
        credential,
        kind=str(_identity(table).get("type")),
        issuer=issuer,
        subject=subject,
        audience=audience,
        workspace_id=str(table.options.get("workspace_id", "")),
        scope=given["scope"],
        life=table.ttl,
        keys=public_keys(_document(given["jwks"])) if given["jwks"] else (),
        name=given["name"],
    )


def _table(session: Session, credential: str) -> CredentialConfig:
    table = session.toolkit.config.credential(given_name(credential))
    if table.kind != _KIND:
        raise ConfigError(
            f"{credential!r} is of kind {table.kind!r}, and this is about federation",
            hint=f'set kind = "{_KIND}" in [credentials.{credential}]',
        )
    return table


def _identity(table: CredentialConfig) -> Mapping[str, object]:
    found = table.options.get("identity")
    return found if isinstance(found, dict) else {}


def _said(
    session: Session, table: CredentialConfig, given: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Give issuer, subject and audience: what was given, else what the identity's token says."""
    from secretkit.claude.grant import AUDIENCE, said  # noqa: PLC0415 - as above
    from secretkit.ports import Closable  # noqa: PLC0415 - as above

    stated = str(_identity(table).get("audience", AUDIENCE))
    if given["issuer"] and given["subject"]:
        return given["issuer"], given["subject"], given["audience"] or stated
    identity = session.toolkit.identity(_identity(table), AUDIENCE)
    try:
        facts = said(identity.assertion(timeout=session.fetch_timeout).secret)
    finally:
        if isinstance(identity, Closable):
            identity.close()
    if facts is None or not facts.issuer or not facts.subject:
        raise ConfigError(
            "the identity's token does not say who issued it, or for whom",
            hint="give both: --issuer URL --subject SUB; Claude needs them in the token too",
        )
    heard = stated if ", " in facts.audience else facts.audience
    return (
        given["issuer"] or facts.issuer,
        given["subject"] or facts.subject,
        given["audience"] or heard,
    )


def _document(path: Path) -> object:
    try:
        with path.open("rb") as file:
            return json.loads(file.read(_MOST))
    except (OSError, ValueError, RecursionError):
        pass
    raise ConfigError(f"{path} cannot be read as JSON", hint="it is the issuer's JWKS document")


def _rows(made: Plan) -> list[Mapping[str, Cell]]:
    """Give a row for each field; what is nested has its path as name."""
    return [
        {"what": what.replace("-", " "), "field": field, "value": value}
        for what, document in made.documents().items()
        for field, value in _fields(document)
    ]


def _fields(document: Mapping[str, Any], *, path: str = "") -> list[tuple[str, Cell]]:
    found: list[tuple[str, Cell]] = []
    for key, value in document.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            found += _fields(value, path=f"{name}.")
        elif isinstance(value, list):
            found.append((name, f"{len(value)} public keys"))
        else:
            found.append((name, value))
    return found


def _write(folder: Path, made: Plan) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in made.documents().items():
            (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise ConfigError(f"{folder}: {problem}", hint="choose another directory") from None


def _admin_token(session: Session, reference: str | None) -> Secret:
    from secretkit.cli.prompt import ended_by_signals, typed  # noqa: PLC0415 - as above
    from secretkit.ports import Event  # noqa: PLC0415 - as above

    if reference is not None:
        ref = given_ref(reference)
        session.audit(Event.SECRET_READ, ref=str(ref))
        return session.toolkit.fetch(ref, timeout=session.fetch_timeout).secret
    if not sys.stdin.isatty():
        raise ConfigError(
            "there is no terminal to ask on for the token",
            hint="say where it is: --token file:/run/secrets/admin-token",
        )
    with ended_by_signals():
        return typed("Access token with the scope org:admin (hidden): ")


def _admin_api(session: Session, credential: str, token: Secret) -> AdminApi:
    from secretkit.claude.admin import AdminApi  # noqa: PLC0415 - as above
    from secretkit.claude.grant import CLAUDE_API, checked_origin  # noqa: PLC0415 - as above

    table = _table(session, credential)
    return AdminApi(
        token,
        base_url=checked_origin(str(table.options.get("base_url", CLAUDE_API))),
        transport=session.toolkit.transport(),
        clock=session.toolkit.clock,
        timeout=session.fetch_timeout,
    )
