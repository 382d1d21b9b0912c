"""Session: one run of the command line. It knows the global options and opens what they name.

No click here: ``secretkit token`` must not pay for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.cli.output import Cell, print_json, print_rows, prose
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from secretkit.config.schema import Config
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.ports import Event
    from secretkit.wiring import Toolkit

__all__ = ["Session", "given_name", "given_ref", "local_ref", "provider_of"]


_LONGEST: Final = 512  # characters, what the ledger takes
_CODE: Final = 64  # bytes of a one-time code with its line break, generously


class Session:
    """The global options of one command, and the toolkit they lead to, opened on first use."""

    def __init__(self) -> None:
        self.command = ""
        self.config_file: Path | None = None
        self.json = False
        self.quiet = False
        self.verbose = False
        self.color = "auto"
        self.timeout: timedelta | None = None
        self._toolkit: Toolkit | None = None
        self._holder = ""

    @property
    def environ(self) -> Mapping[str, str]:
        """The process's environment."""
        return os.environ  # noqa: TID251 - init and trust run without a configuration to wire

    @property
    def cwd(self) -> Path:
        """The current directory."""
        try:
            return Path.cwd()
        except OSError:
            raise ConfigError(
                "the current directory is gone", hint="cd somewhere that exists"
            ) from None

    def config(self) -> Config:
        """Read the configuration in force, with ``--timeout`` applied; notices go to stderr."""
        from secretkit.config.load import find_and_load, with_timeout  # noqa: PLC0415 - not for help
        from secretkit.config.origin import Origin, OriginKind  # noqa: PLC0415 - see above

        config = find_and_load(self.config_file, environ=self.environ, cwd=self.cwd)
        for notice in config.notices:
            self.say(notice)
        if self.timeout is None:
            return config
        argument = Origin(kind=OriginKind.ARGUMENT, place="--timeout")
        return with_timeout(config, self.timeout, origin=argument)

    @property
    def toolkit(self) -> Toolkit:
        """The objects of the configuration in force."""
        if self._toolkit is None:
            from secretkit.wiring import Toolkit  # noqa: PLC0415 - not for help

            is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
            self._toolkit = Toolkit(
                self.config(), environ=self.environ, prompt=_ask_code if is_terminal else None
            )
        return self._toolkit

    @property
    def fetch_timeout(self) -> timedelta:
        """How long one fetch may take."""
        return self.toolkit.config.policy.fetch_timeout

    def now(self) -> datetime:
        """Give the wall-clock time."""
        return self.toolkit.clock.now()

    def audit(self, event: Event, *, name: str = "", ref: str = "") -> None:
        """Write what is about to be done into the audit.

        Raises:
            LedgerError: if that cannot be written; then the command must not go on.
            ConfigError: for a name or a reference that is too long for it.
        """
        if max(len(name), len(ref)) > _LONGEST:
            raise ConfigError(
                f"this name or reference is longer than {_LONGEST} characters",
                hint="give a shorter one: the audit keeps it with each use",
            )
        from secretkit.ports import AuditEvent  # noqa: PLC0415 - not for help

        self.toolkit.ledger().record(
            AuditEvent(event=event, at=self.now(), holder=self.holder, name=name, ref=ref)
        )

    @property
    def holder(self) -> str:
        """Who acts, for the audit: this process."""
        if not self._holder:
            from secretkit.wiring import holder  # noqa: PLC0415 - not for help

            self._holder = holder()
        return self._holder

    def say(self, text: str) -> None:
        """Print a line of prose on stderr, unless ``--quiet``."""
        if not self.quiet:
            prose(text)

    def rows(
        self, noun: str, rows: Sequence[Mapping[str, Cell]], *, columns: Sequence[str]
    ) -> None:
        """Print rows; with ``--json`` an object that holds all their fields under ``noun``."""
        if self.json:
            print_json({noun: [dict(row) for row in rows]})
        else:
            print_rows(rows, columns, color=self.color)

    def close(self) -> None:
        """Close what was opened."""
        toolkit, self._toolkit = self._toolkit, None
        if toolkit is not None:
            toolkit.close()


def _ask_code(text: str) -> Secret:
    """Ask for a one-time code, shown while it is typed: it is used up at once.

    Read past ``sys.stdin``: a thread that is left waiting in its buffer would end Python badly.
    """
    from secretkit.core.secret import Secret  # noqa: PLC0415 - not for help

    sys.stderr.write(f"{text}: ")
    sys.stderr.flush()
    return Secret(os.read(sys.stdin.fileno(), _CODE).decode("ascii", "replace").strip())


def given_name(text: str) -> str:
    """Give a name that was given as an argument.

    Raises:
        ConfigError: for text that holds a secret: it stands in the shell's history now.
    """
    from secretkit.config.literal import literal_text  # noqa: PLC0415 - not for help

    if literal_text(text.encode(errors="replace")) is None:
        return text
    del text
    raise ConfigError(
        "the name holds a secret, which now stands in the shell's history",
        hint="revoke that key; then give a name: secretkit set NAME asks for the value",
    )


def given_ref(text: str) -> SecretRef:
    """Read a reference that was given as an argument.

    Raises:
        ConfigError: like ``given_name``.
        RefError: for text that is no reference.
    """
    from secretkit.core.ref import SecretRef  # noqa: PLC0415 - not for help

    return SecretRef.parse(given_name(text))


def provider_of(session: Session, ref: SecretRef) -> None:
    """Make sure that ``ref`` names a provider: what does not may be a password, ``root:…``.

    Raises:
        ConfigError: if it does not.
    """
    from secretkit.providers import registry  # noqa: PLC0415 - not for help

    if ref.provider not in session.toolkit.config.providers:
        registry.factory(ref.provider)


def local_ref(name: str) -> SecretRef:
    """Read a reference, or the bare name of a secret in the local store; see ``given_ref``."""
    return given_ref(name if ":" in name else f"local:{name}")
