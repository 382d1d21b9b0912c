"""systemd: what ``LoadCredential=`` put into $CREDENTIALS_DIRECTORY. ``systemd:NAME``."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

from secretkit import Secret, SecretRef, errors
from secretkit.ports import Fetched, ProviderContext

NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class SystemdProvider:
    """Reads the credentials of this unit. Stateless, so it is thread-safe."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it. Cheap: nothing is read here. Options are checked here."""
        if unknown := sorted(options):
            raise errors.ConfigError(f"no option {unknown[0]!r}", hint="systemd takes none")
        return cls(context.environ)  # not os.environ: a test passes its own world

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Ask once, without retries and without a cache: both are the broker's."""
        del timeout  # a local read needs none
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not NAME.fullmatch(ref.path) or ref.path in {".", ".."} or ref.field or ref.version:
            raise errors.RefError(f"{ref}: not the name of a credential", hint="write systemd:NAME")
        if not folder:  # did not ask: a chain goes on to the next provider
            raise errors.ProviderUnavailableError(
                f"{ref}: systemd did not start this process",
                ref=str(ref),
                hint=f"add LoadCredential={ref.path}:/path to the unit",
            )
        return Fetched(secret=_read(Path(folder, ref.path), ref))


def _read(path: Path, ref: SecretRef) -> Secret:
    """Wrap at the door: no name in this frame is ever bound to the value."""
    try:
        return Secret(path.read_bytes().decode())
    except FileNotFoundError:  # asked, and not there: a chain stops
        raise errors.SecretNotFoundError(
            f"{ref}: no such credential", ref=str(ref), hint="ls"
        ) from None
    except PermissionError:  # asked, and may not: what is held is dropped
        raise errors.AccessDeniedError(
            f"{ref}: may not be read", ref=str(ref), hint="see User="
        ) from None
    except (OSError, UnicodeDecodeError, errors.SecretError) as error:
        # from None: the text of a foreign error may hold the value, its class name does not.
        raise errors.ProviderError(
            f"{ref}: {type(error).__name__}", ref=str(ref), hint="ls -l"
        ) from None
