"""issued: a token from our own issuer, which runs on the same host behind a unix socket.

The issuer (``secretkit identity issuer``) knows who asks from the socket itself: the kernel tells
it our user id. One line goes there and one comes back, both JSON.
"""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.identity.source import Issuing
    from secretkit.ports import ProviderContext

__all__ = ["LONGEST_LINE", "IssuedIdentity", "open_issued", "socket_path"]

_PAUSE: Final = timedelta(milliseconds=10)
LONGEST_LINE: Final = 32_768  # bytes of an answer; a token has at most 16384


def socket_path(read: Options) -> str:
    """Give the path that the option ``socket`` names, with ``unix://`` or without."""
    path = read.required("socket", expected='"unix:///run/secretkit/issuer.sock"')
    path = path.removeprefix("unix://")
    if not path.startswith("/") or len(path.encode()) > 100:  # noqa: PLR2004 - sun_path has 104
        raise read.wrong(
            "socket", expected='a whole path of at most 100 bytes: "unix:///run/issuer.sock"'
        )
    return path


class IssuedIdentity:
    """Asks the issuer for a token, anew each time. Thread-safe; keeps nothing."""

    def __init__(self, path: str, *, audience: str, context: ProviderContext) -> None:
        self._path = path
        self._question = json.dumps({"audience": audience}).encode() + b"\n"
        self._clock = context.clock
        self.ref = f"issuer:{path}"

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once.

        Raises:
            AccessDeniedError: if the issuer gives this user no token for this audience.
            ProviderUnavailableError: if there is no issuer behind the socket.
            ProviderTimeoutError: if no answer came in time.
        """
        found = self._ask(Deadline(timeout, clock=self._clock))
        if isinstance(found, Secret):
            return found
        raise found

    def _ask(self, deadline: Deadline) -> Secret | ProviderError:
        """Return errors: this frame sees the token."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            try:
                line.settimeout(max(deadline.seconds, 0.001))  # 0 would mean: do not wait at all
                self._connect(line, deadline)
                with suppress(BrokenPipeError, ConnectionResetError):
                    line.sendall(self._question)  # sent away unheard: the answer says why
                answer = bytearray()
                while not answer.endswith(b"\n") and len(answer) <= LONGEST_LINE:
                    line.settimeout(max(deadline.seconds, 0.001))
                    part = line.recv(65_536)
                    if not part:
                        break
                    answer += part
            except TimeoutError:
                text = f"{self.ref}: the issuer did not answer in time"
                return ProviderTimeoutError(text, ref=self.ref, hint="see whether it still runs")
            except OSError as error:
                return ProviderUnavailableError(
                    f"{self.ref}: the issuer cannot be reached ({error.strerror})",
                    ref=self.ref,
                    hint="start it: secretkit identity issuer; and see who may open its socket",
                )
        return self._read(bytes(answer))

    def _connect(self, line: socket.socket, deadline: Deadline) -> None:
        """Connect; a full queue is EAGAIN at once for a socket with a timeout, see man 2 connect.

        Raises:
            OSError: as the socket does.
        """
        while True:
            try:
                line.connect(self._path)
            except BlockingIOError:
                if deadline.seconds <= 0:
                    raise TimeoutError from None
                deadline.pause(_PAUSE)
            else:
                return

    def _read(self, answer: bytes) -> Secret | ProviderError:
        document = _object(answer)
        if isinstance(document.get("token"), str):
            try:
                return Secret(document["token"])
            except SecretError:
                document = {}
        if document.get("error") == "denied":
            text = f"{self.ref}: the issuer gives this user no token for this audience"
            hint = "add the user and the audience to workloads in [identity.issuer]"
            return AccessDeniedError(text, ref=self.ref, hint=hint)
        text = f"{self.ref}: the issuer gave no token"
        return ProviderError(text, ref=self.ref, hint="look into its log")


def open_issued(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``socket``: where the issuer listens."""
    read = Options(table, type_name="issuer", known=("audience", "socket"), noun="identity")
    wanted = read.text("audience", default=audience)
    return IssuedIdentity(socket_path(read), audience=wanted, context=context), wanted


def _object(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer) if answer.endswith(b"\n") else None
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}
