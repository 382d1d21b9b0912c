"""``secretkit token NAME`` and ``secretkit hook run`` without click: they run again and again.

Anything but the plain form is left to click.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from secretkit.cli.output import is_terminal
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretkit.cli.session import Session

__all__ = ["hook_request", "token_request"]


def token_request(arguments: Sequence[str], session: Session) -> Callable[[], int] | None:
    """Give the work that the plain form asks for, or None to let click look at it."""
    options: dict[str, str] = {}
    names: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        option, equals, value = word.partition("=")
        if option in {"-c", "--config", "--timeout"}:
            if not equals and not rest:
                return None
            options[option.lstrip("-")[0]] = value if equals else rest.pop(0)
        elif word in {"--json", "-q", "--quiet"}:
            options[word.lstrip("-")[0]] = word
        elif word.startswith("-"):
            return None
        else:
            names.append(word)
    if len(names) != 1 or is_terminal():
        return None
    return lambda: _token(names[0], options, session)


def _token(name: str, options: dict[str, str], session: Session) -> int:
    gc.disable()  # a tenth of the time went into looking for garbage in what was just imported
    from secretkit.cli.handout import hand_out_token  # noqa: PLC0415 - after the arguments fit

    session.command = "token"
    session.json, session.quiet = "j" in options, "q" in options
    if "c" in options:
        session.config_file = Path(options["c"])
    if "t" in options:
        from secretkit.config.duration import parse_duration  # noqa: PLC0415 - rarely given

        try:
            session.timeout = parse_duration(options["t"])
        except ConfigError as error:
            raise ConfigError(f"--timeout: {error}", hint=error.hint) from None
    hand_out_token(session, name)
    gc.freeze()  # and 5 ms more at the end, into a last look for it
    return 0


def hook_request(arguments: Sequence[str], session: Session) -> Callable[[], int] | None:
    """Give the work of a scan before a commit, by no settings; None to let click look at it."""
    words = list(arguments)
    if words[:2] == ["--stage", "pre-commit"]:
        del words[:2]
    if any(word.startswith("-") for word in words):
        return None
    from secretkit.scan.hook.setting import has_settings  # noqa: PLC0415 - see above

    return None if has_settings(session.environ) else lambda: _hook(words, session)


def _hook(words: Sequence[str], session: Session) -> int:
    gc.disable()  # as above
    from secretkit.scan.git import program  # noqa: PLC0415 - after the arguments fit
    from secretkit.scan.hook.glance import glance  # noqa: PLC0415 - as above

    session.command = "hook run"
    glanced = None
    with contextlib.suppress(Exception):  # whatever it was, the full scan looks again
        glanced = glance(program=program(), paths=sys.path, environ=session.environ, only=words)
    if isinstance(glanced, str):
        sys.stderr.write(f"{glanced}\n")
        return 0
    from secretkit.scan.hook.stage import main  # noqa: PLC0415 - only in doubt

    return main("pre-commit", words, program="", environ=session.environ, glanced=glanced)
