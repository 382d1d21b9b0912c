"""The stand-in for ``docs/federation.md``: an issuer, an administrator and the Claude API."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from pages import Session
from secretkit.broker import SystemClock
from secretkit.testing import ClaudeStub
from secretkit.testing.stub.issuer import TokenIssuer

ISSUER = "https://oidc.example.org"
SUBJECT = "system:serviceaccount:prod:app"
REPLY = "Hello! How can I help you today?"


@contextmanager
def federation(session: Session) -> Iterator[Callable[[], int]]:
    """Give what counts the answers. The ids on the page are those of the stand-in."""
    admin = f"sk-ant-oat01-{secrets.token_urlsafe(64)}"
    issuer = TokenIssuer(ISSUER, clock=SystemClock())
    with ClaudeStub(reply=REPLY) as stub:
        stub.organization.publish(issuer)
        stub.organization.admins.add("admin")
        stub.keys.accept(admin, label="admin")
        token = issuer.token(SUBJECT, life=timedelta(minutes=50)).reveal()
        for name, text in (("admin-token", admin), ("id.jwt", token)):
            (session.home / name).touch(0o600)
            (session.home / name).write_text(text)

        def placed(body: str) -> str:
            body = body.replace("00000000-0000-0000-0000-000000000000", stub.organization.id)
            body = body.replace("/var/run/secrets/anthropic.com/token", f"{session.home}/id.jwt")
            for kind, name in (("federation_rules", "fdrl_01"), ("service_accounts", "svac_01")):
                made = [one for one in stub.organization.every(kind) if one["name"] == "claude"]
                body = body.replace(f'"{name}…"', f'"{made[0]["id"]}"' if made else '"pending"')
            at = f'base_url = "{stub.url}"\norganization_id'
            return body.replace("organization_id", at)

        session.placed = placed
        session.environ["ANTHROPIC_BASE_URL"] = stub.url  # for the program that is not ours
        yield lambda: stub.count(path="/v1/messages", status=200)
        assert stub.count(path="/v1/messages", status=200) == 4
        assert stub.count(path="/v1/oauth/token", status=200) >= 4
