"""command: a program that prints the secret. ``argv = ["op", "read", "{path}"]``; no shell.

``{path}`` is a whole item of ``argv``. A program without it gives one secret only, whose path is
``-``, so that no two references mean the same without saying so.

Options: ``argv``; ``env``, the variables passed on (PATH, HOME and LANG if not given); ``cwd`` (the
configuration file's directory if not given); ``newline`` (``"keep"``, or ``"strip-one"``, which
most programs need, because they end their output with a line break); and ``exit``, a table from
exit codes to ``"not-found"``, ``"denied"`` or ``"unavailable"``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.ports import Fetched
from secretkit.providers.child import MAX_OUTPUT, Child
from secretkit.providers.contents import NEWLINES, field_of, no_version
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options
from secretkit.providers.plain_file import locate
from secretkit.providers.running import Running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.ref import SecretRef
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext
    from secretkit.providers.child import Ended

__all__ = ["CommandProvider"]

_ENV: Final = ("PATH", "HOME", "LANG")
_PATH: Final = "{path}"
_ONLY: Final = "-"  # the path of the one secret of a program that takes none
_OUTCOMES: Final = MappingProxyType(
    {
        "not-found": SecretNotFoundError,
        "denied": AccessDeniedError,
        "unavailable": ProviderUnavailableError,
    }
)
_MAX_CODE: Final = 255
_RUNNING: Final = Running()


@dataclass(frozen=True, slots=True)
class CommandProvider:
    """Runs one program per fetch, in a process group of its own. Stateless, thread-safe."""

    context: ProviderContext = field(repr=False)
    argv: tuple[str, ...]
    env: tuple[str, ...] = _ENV
    cwd: str = "/"
    newline: str = "keep"
    exits: Mapping[int, type[ProviderError]] = field(default_factory=dict)

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from ``argv`` and the options above; runs nothing.

        Raises:
            ConfigError: for an option that is unknown, missing or malformed.
        """
        known = ("argv", "cwd", "env", "exit", "newline")
        read = Options(options, type_name="command", known=known)
        argv = read.texts("argv")
        if not argv:
            raise read.wrong("argv", expected='a list: argv = ["op", "read", "{path}"]')
        if any(_PATH in item and item != _PATH for item in argv) or argv[0] == _PATH:
            # Put together here, a path could become another option or another program's input.
            raise read.wrong(
                "argv", expected='"{path}" as an item of its own after the program, not in another'
            )
        cwd = read.text("cwd")
        try:
            cwd = locate(cwd, ref=None, context=context) if cwd else context.config_dir or "/"
        except RefError as error:
            raise ConfigError(str(error), key_path="cwd", hint=error.hint) from None
        return cls(
            context,
            argv,
            env=read.texts("env", default=_ENV),
            cwd=cwd,
            newline=read.choice("newline", among=NEWLINES),
            exits=_exits(read),
        )

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give what the program prints, up to 64 KiB; its whole process group ends at the deadline.

        Raises:
            RefError: if a version is asked for, if the path would be read as an option, or if
                argv has no place for one and it is not ``-``.
            ProviderUnavailableError: if the program is not there or cannot be run.
            ProviderTimeoutError: if it did not end in time.
            SecretError: if it printed nothing, or what is not text.
            ProviderError: if it failed or printed too much; what it printed is never shown.
        """
        deadline = Deadline(timeout, clock=self.context.clock)
        argv = self._argv(ref)
        deadline.check(ref)
        program = self._started(ref, argv)
        try:
            ended = Child(program).collect(deadline=deadline, ref=ref, newline=self.newline)
        finally:
            _RUNNING.ended(program)
        if isinstance(ended.output, Secret) and ended.code == 0 and not ended.problem:
            return Fetched(secret=field_of(ended.output, ref=ref))
        raise self._failure(ref, ended)

    def _argv(self, ref: SecretRef) -> list[str]:
        no_version(ref)
        if _PATH not in self.argv:
            if ref.path != _ONLY:
                raise RefError(
                    f"{ref}: argv has no {_PATH!r}, so the program gives the same for every path",
                    hint=f'put "{_PATH}" into argv, or write {ref.provider}:{_ONLY} for the one '
                    "secret that it gives",
                )
        elif ref.path.startswith("-"):
            before = self.argv[: self.argv.index(_PATH)]
            if "--" not in before:
                raise RefError(
                    f"{ref}: the program would read this path as an option",
                    hint='put "--" before "{path}" in argv, if the program knows it',
                )
        return [ref.path if item == _PATH else item for item in self.argv]

    def _started(self, ref: SecretRef, argv: list[str]) -> subprocess.Popen[bytes]:
        try:
            return _RUNNING.start(argv, cwd=self.cwd, env=self._passed_on())
        except (OSError, ValueError) as error:
            reason = type(error).__name__
            if isinstance(error, OSError) and error.strerror:
                reason = error.strerror.lower()
        raise ProviderUnavailableError(
            f"{ref}: the program {argv[0]!r} cannot be started in {self.cwd!r} ({reason})",
            ref=str(ref),
            hint=f"install it, or write its whole path in argv; found on PATH: which {argv[0]}",
        )

    def _passed_on(self) -> dict[str, str]:
        environ = self.context.environ
        return {name: environ[name] for name in self.env if name in environ}

    def _failure(self, ref: SecretRef, ended: Ended) -> SecretkitError:
        if ended.problem == "timeout":
            return ProviderTimeoutError(
                f"{ref}: the program did not end in time and was killed",
                ref=str(ref),
                hint="run it by hand: it may be asking for a login",
            )
        if ended.problem:
            return ProviderError(
                f"{ref}: the program printed more than {MAX_OUTPUT} bytes and was killed",
                ref=str(ref),
                hint="let it print the secret and nothing else",
            )
        if ended.code == 0 and not isinstance(ended.output, Secret):
            return ended.output
        how = f"exit code {ended.code}" if ended.code >= 0 else f"signal {-ended.code}"
        return self.exits.get(ended.code, ProviderError)(
            f"{ref}: the program ended with {how}; "
            f"{ended.stderr_bytes} bytes of its messages are not shown",
            ref=str(ref),
            hint=f"run it by hand to see why: {self.argv[0]}",
        )


def _exits(read: Options) -> Mapping[int, type[ProviderError]]:
    exits: dict[int, type[ProviderError]] = {}
    for code, outcome in read.table("exit").items():
        number = int(code) if str(code).isascii() and str(code).isdecimal() else 0
        if not 0 < number <= _MAX_CODE or not isinstance(outcome, str) or outcome not in _OUTCOMES:
            raise read.wrong("exit", expected='a table such as { 44 = "not-found", 77 = "denied" }')
        exits[number] = _OUTCOMES[outcome]
    return MappingProxyType(exits)
