"""Listener: the issuer's door, a unix socket. The kernel says who knocks."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from secretkit.errors import AccessDeniedError, ConfigError, SecretkitError
from secretkit.providers.deadline import Deadline

if TYPE_CHECKING:
    from secretkit.core.secret import Secret
    from secretkit.identity.issuer import Issuer

__all__ = ["Listener"]

_PATIENCE: Final = 5.0  # seconds for a question to arrive, and for the answer to be taken
_QUESTION: Final = 4096  # bytes
_QUESTION_TIME: Final = timedelta(seconds=_PATIENCE)
_AUDIENCE: Final = 1024  # characters
_AT_ONCE: Final = 16
_WAITING: Final = 256
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid; man 7 unix
_log = logging.getLogger(__name__)


class Listener:
    """Answers one line with one line, per connection; a context manager.

    Who is not in ``workloads`` is sent away before anything is read, so only known users can keep
    it busy, each question for 5 seconds at most.
    """

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._path = Path(issuer.plan.socket)
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        """Open the socket and answer from now on.

        Raises:
            ConfigError: if it cannot be opened, or if another issuer answers there.
        """
        if not hasattr(socket, "SO_PEERCRED"):
            raise ConfigError(
                "this system does not tell who is at the other end of a socket",
                hint="run the issuer on Linux",
            )
        self._listener = self._opened()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="identity-issuer")
        self._thread = threading.Thread(target=self._accept, name="identity-issuer", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer what is under way, and take the socket away."""
        self._closing.set()
        with suppress(OSError), socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(_PATIENCE)
            knock.connect(str(self._path))  # wakes accept(), which closing would not
        self._thread.join(_PATIENCE)
        self._listener.close()
        self._pool.shutdown()
        self._path.unlink(missing_ok=True)

    def _opened(self) -> socket.socket:
        self._clear()
        made = socket.socket(socket.AF_UNIX)
        try:
            made.bind(str(self._path))
            self._path.chmod(0o666)  # everybody may knock; the peer's user id decides
            made.listen(_WAITING)
        except OSError as error:
            made.close()
            problem = error.strerror
        else:
            return made
        raise ConfigError(
            f"the socket {self._path} cannot be opened ({problem})",
            key_path="identity.issuer.socket",
            hint="name a path in a folder that this user may write, and that only it may",
        )

    def _clear(self) -> None:
        """Take away the socket of an issuer that has ended; leave one that answers."""
        if not self._path.is_socket():
            return
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(_PATIENCE)
            try:
                knock.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
            except OSError:
                return  # bind says what is wrong
        raise ConfigError(
            f"another issuer answers at {self._path}",
            key_path="identity.issuer.socket",
            hint="stop it, or name another path",
        )

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                line, _ = self._listener.accept()
            except OSError:
                self._closing.wait(0.1)  # too many open files, say: it passes
                continue
            line.settimeout(_PATIENCE)
            raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            pid, uid, _gid = _CREDENTIALS.unpack(raw)
            if self._closing.is_set():
                line.close()
            elif not self._issuer.knows(uid):
                _log.warning("no workload is user %d (process %d)", uid, pid)
                with suppress(OSError):
                    line.sendall(b'{"error":"denied"}\n')
                line.close()
            else:
                self._pool.submit(self._serve, line, uid)

    def _serve(self, line: socket.socket, uid: int) -> None:
        with line, suppress(OSError):
            audience = _asked(line, Deadline(_QUESTION_TIME, clock=self._issuer.clock))
            line.settimeout(_PATIENCE)
            if audience is None:
                line.sendall(b'{"error":"malformed"}\n')
                return
            token = self._answer(uid, audience)
            if isinstance(token, str):
                line.sendall(json.dumps({"error": token}).encode() + b"\n")
            else:
                line.sendall(b'{"token":"' + token.reveal().encode() + b'"}\n')

    def _answer(self, uid: int, audience: str) -> Secret | str:
        """Give a token, or a word that says why there is none."""
        try:
            token = self._issuer.token(uid, audience)
        except AccessDeniedError:
            _log.warning("user %d may not have a token for %s", uid, audience)
            return "denied"
        except SecretkitError as error:
            _log.warning("no token for user %d: %s", uid, error)
            return "unavailable"
        _log.info("a token for user %d and %s", uid, audience)
        return token


def _asked(line: socket.socket, deadline: Deadline) -> str | None:
    """Read the question: one line of JSON with an audience in it.

    Raises:
        OSError: if it does not come in time, however often a byte of it does.
    """
    question = b""
    while not question.endswith(b"\n") and len(question) <= _QUESTION:
        line.settimeout(deadline.seconds)  # 0: what is there already, or an error
        part = line.recv(_QUESTION)
        if not part:
            break
        question += part
    try:
        document = json.loads(question)
    except (ValueError, RecursionError):
        return None
    audience = document.get("audience") if isinstance(document, dict) else None
    if not isinstance(audience, str) or not 0 < len(audience) <= _AUDIENCE:
        return None
    return audience if audience.isprintable() else None
