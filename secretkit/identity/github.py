"""github: the OIDC token of a GitHub Actions job, asked for anew each time. It lives 5 minutes.

https://docs.github.com/en/actions/reference/security/oidc
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from secretkit.core.message import Request
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ProviderUnavailableError
from secretkit.identity.answer import asked, text_of
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["GithubIdentity", "open_github"]

_ADDRESS: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
_KEY: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
_HINT: Final = 'give the job "permissions: id-token: write"; a fork\'s pull request cannot have it'


class GithubIdentity:
    """Asks the runner's endpoint for a token. Thread-safe; keeps nothing."""

    ref = "github"

    def __init__(self, *, audience: str, context: ProviderContext) -> None:
        self._audience = audience
        self._context = context

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once, with the job's own token.

        Raises:
            ProviderUnavailableError: outside of a job, or in one without the permission.
            AccessDeniedError: if the endpoint refuses, as it does once the job has ended.
        """
        request = self._request()
        if isinstance(request, ProviderUnavailableError):
            raise request
        try:
            reply = asked(request, self, context=self._context, what="GitHub", timeout=timeout)
        except AccessDeniedError as error:
            error.hint = _HINT
            raise
        return text_of(reply, "value", ref=self.ref)

    def _request(self) -> Request | ProviderUnavailableError:
        """Return errors: this frame sees the job's own token."""
        world = self._context.environ
        for name in (_ADDRESS, _KEY):
            if not world.get(name):
                text = f"{self.ref}: {name} is not set"
                return ProviderUnavailableError(text, ref=self.ref, hint=_HINT)
        joint = "&" if "?" in world[_ADDRESS] else "?"
        return Request(
            method="GET",
            url=f"{world[_ADDRESS]}{joint}audience={quote(self._audience, safe='')}",
            headers={
                "Accept": "application/json",
                "Authorization": Secret(f"Bearer {world[_KEY]}"),
            },
        )


def open_github(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take nothing but the audience; the job's variables say the rest when it is asked."""
    read = Options(table, type_name="github", known=("audience",), noun="identity")
    wanted = read.text("audience", default=audience)
    return GithubIdentity(audience=wanted, context=context), wanted
