"""svid: keeps an X.509-SVID in two files, for programs that read certificates from files.

``svid.pem`` is the key and the chain in one file, so that both change in one step and never a new
key stands beside an old certificate; ``bundle.pem`` is the authorities of the trust domain.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.secret import Secret
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.identity.spiffe import X509Identity

__all__ = ["next_look", "write_svid"]

_SOONEST: Final = timedelta(seconds=1)
_LATEST: Final = timedelta(minutes=1)  # authorities rotate, too, and one look takes 5 ms


def write_svid(found: X509Identity, *, folder: str) -> None:
    """Write the files into ``folder``, each in one step: 0600, and 0644 for the authorities.

    Raises:
        ConfigError: if that cannot be done.
    """
    problem = ""
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(Path(folder) / "bundle.pem", Secret(found.authorities), mode=0o644)
        both = Secret(f"{found.key.reveal()}{found.chain}")
        _replace(Path(folder) / "svid.pem", both, mode=0o600)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise ConfigError(
            f"the SVID cannot be written into {folder} ({problem})",
            hint="name a folder that this user may write",
        )


def next_look(now: datetime, *, expires_at: datetime) -> timedelta:
    """Give how long to wait before the agent is asked again: half of what is left, 1 to 60 s."""
    return min(max((expires_at - now) / 2, _SOONEST), _LATEST)


def _replace(path: Path, text: Secret, *, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(handle, "wb") as fresh:
            fresh.write(text.reveal().encode())
            fresh.flush()
            os.fchmod(fresh.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
