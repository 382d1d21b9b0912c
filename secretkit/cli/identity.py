"""``secretkit identity``: show, svid, jwks, issuer."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

import click

from secretkit.cli.output import print_json
from secretkit.cli.root import LazyGroup
from secretkit.cli.session import given_name
from secretkit.errors import ConfigError, SecretkitError
from secretkit.identity.claims import read_claims
from secretkit.identity.opening import KINDS, open_identity
from secretkit.ports import Event
from secretkit.wiring.source import identity_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.cli.session import Session
    from secretkit.identity.issuer import Issuer, IssuerPlan
    from secretkit.identity.publication import Face

__all__ = ["command"]

_AGAIN: Final = 60.0  # seconds between two looks at whether a key is due
# What the two exchanges ask for where neither table nor option names an audience.
_AUDIENCES: Final = {
    "anthropic-federation": "https://api.anthropic.com",
    "aws": "sts.amazonaws.com",
}


@click.group("identity", cls=LazyGroup)
def command() -> None:
    """Show who this workload is, or issue identities on this host."""


@command.command("show")
@click.argument("name", metavar="NAME|KIND")
@click.option("--audience", default="", help="For whom; else what the configuration says.")
@click.pass_obj
def show(session: Session, *, name: str, audience: str) -> None:
    """Print what an assertion says, never the token: issuer, subject, audience, end.

    These are the values that a trust rule on the other side must match. NAME is a credential or an
    [identity.NAME]; KIND is a kind that needs no options: github, gcp, azure, spiffe.
    """
    table, usual = _table(session, given_name(name))
    if audience:
        table = {**table, "audience": audience}
    context = session.toolkit.provider_context()
    identity = open_identity(table, audience=usual, context=context)
    session.audit(Event.SECRET_READ, ref=identity.ref)
    found = identity.assertion(timeout=session.fetch_timeout)
    claims = read_claims(
        found.secret, ref=identity.ref, audience=identity.audience, now=context.clock.now()
    )
    row = {
        "identity": identity.ref,
        "issuer": claims.issuer or None,
        "subject": claims.subject,
        "audience": " ".join(claims.audience),
        "issued_at": claims.issued_at,
        "expires_at": claims.expires_at,
    }
    session.rows("assertions", [row], columns=list(row))
    if not claims.issuer or claims.issued_at is None:
        session.say("Claude takes no token without iss and iat, and one of them is missing")


@command.command("svid")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--socket", default="", help="The Workload API; else SPIFFE_ENDPOINT_SOCKET.")
@click.option("--watch", is_flag=True, help="Stay, and write each new one.")
@click.pass_obj
def svid(session: Session, *, folder: str, socket: str, watch: bool) -> None:
    """Write this workload's X.509-SVID into FOLDER.

    svid.pem is the key and the chain, bundle.pem the authorities: for programs that read
    certificates from files, and for Vault's certificate login.
    """
    from secretkit.identity.spiffe import WorkloadApi  # noqa: PLC0415 - not for the others
    from secretkit.identity.svid import next_look, write_svid  # noqa: PLC0415 - see above

    workload = WorkloadApi(socket, context=session.toolkit.provider_context())
    clock = session.toolkit.clock
    stop = _until_told()
    while True:
        try:
            found = workload.x509(timeout=session.fetch_timeout)
            write_svid(found, folder=folder)
        except SecretkitError as error:
            if not watch:
                raise
            session.say(f"{error} ({error.hint})")
            wait = 1.0
        else:
            session.say(f"{found.subject} until {found.expires_at:%Y-%m-%dT%H:%M:%SZ}")
            wait = next_look(clock.now(), expires_at=found.expires_at).total_seconds()
        if not watch or clock.wait(stop, wait):
            return


@command.command("jwks")
@click.pass_obj
def jwks(session: Session) -> None:
    """Print the issuer's public keys, a JWK Set.

    For a verifier that is given them by hand. The first key is made if there is none.
    """
    import json  # noqa: PLC0415 - not for the others

    from secretkit.identity.issuer import JWKS  # noqa: PLC0415 - not for the others

    print_json(json.loads(_issuer(session).refresh()[JWKS]))


@command.command("issuer")
@click.option("--listen", default="", metavar="PORT", help="Serve the public keys on loopback.")
@click.pass_obj
def issuer(session: Session, *, listen: str) -> None:
    """Sign short tokens for workloads on this host.

    It runs until it is stopped. [identity.issuer] says who they are. They ask over its unix socket,
    and the kernel says which user asks. The public keys go into the folder "publish", for a web
    server, or over HTTP on 127.0.0.1 with --listen, for a proxy.
    """
    from secretkit.identity.listener import Listener  # noqa: PLC0415 - not for the others

    made = _issuer(session)
    stop = _until_told()
    with ExitStack() as opened:
        face = opened.enter_context(_face(listen, made.plan)) if listen else None
        _publish(session, made, face)
        opened.enter_context(Listener(made))
        if face is not None:
            session.say(f"public keys: http://127.0.0.1:{face.port}/jwks.json")
        elif not made.plan.publish:
            session.say("nobody is told of new keys: write publish, or use --listen")
        session.say(f"{made.plan.issuer_url} answers at {made.plan.socket}")
        while not session.toolkit.clock.wait(stop, _AGAIN):
            try:
                _publish(session, made, face)
            except SecretkitError as error:
                session.say(f"the keys in use stay in use: {error} ({error.hint})")


def _publish(session: Session, made: Issuer, face: Face | None) -> None:
    """Bring the keys up to date; a new one is used when everybody can read it."""
    from secretkit.identity.publication import write_documents  # noqa: PLC0415 - for the issuer
    from secretkit.providers.plain_file import locate  # noqa: PLC0415 - for the issuer

    documents = made.refresh()
    if made.plan.publish:
        context = session.toolkit.provider_context()
        write_documents(documents, folder=locate(made.plan.publish, ref=None, context=context))
    if face is not None:
        face.publish(documents)
    made.published()


def _face(listen: str, plan: IssuerPlan) -> Face:
    from secretkit.identity.publication import Face  # noqa: PLC0415 - for --listen

    if not listen.isascii() or not listen.isdecimal() or int(listen) > 65_535:  # noqa: PLR2004
        raise click.UsageError("--listen: a port was expected, such as 8089")
    max_age = int(plan.rotation.ahead.total_seconds()) // 2
    return Face(host="127.0.0.1", port=int(listen), max_age=max_age)


def _issuer(session: Session) -> Issuer:
    from secretkit.identity.issuer import Issuer, read_plan  # noqa: PLC0415 - not for the others

    table = session.toolkit.config.identities.get("issuer")
    if table is None:
        raise ConfigError(
            "there is no [identity.issuer] in the configuration",
            key_path="identity.issuer",
            hint="docs/identity.md has one to copy",
        )
    try:
        plan = read_plan(table)
    except ConfigError as error:
        raise _placed(error, "identity.issuer", session) from None
    return Issuer(plan, context=session.toolkit.provider_context())


def _table(session: Session, name: str) -> tuple[Mapping[str, object], str]:
    """Give the identity's table, and the audience that its user asks for."""
    config = session.toolkit.config
    table = config.identities.get(name)
    if table is not None and "type" in table:
        return table, ""
    found = config.credentials.get(name)
    inner = found.options.get("identity") if found is not None else None
    if found is not None and isinstance(inner, dict):
        return identity_table(inner, config.identities), _AUDIENCES.get(found.kind, "")
    if found is None and name in KINDS:
        return {"type": name}, ""
    raise ConfigError(
        f"{name} is no identity, and no credential that has one",
        hint=f"name an [identity.NAME], a credential with an identity, or {', '.join(KINDS)}",
    )


def _placed(error: ConfigError, key_path: str, session: Session) -> ConfigError:
    whole = ".".join(filter(None, (key_path, error.key_path)))
    file = error.file or str(session.toolkit.config.file or "")
    return ConfigError(error.args[0], hint=error.hint, file=file, key_path=whole)


def _until_told() -> threading.Event:
    """Give an event that SIGTERM sets, so that what was opened is closed."""
    stop = threading.Event()
    with suppress(ValueError):  # not in the main thread: a test
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop
