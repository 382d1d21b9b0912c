"""Setting: whether the user has settings that a scan must follow: rules, exclusions, live keys.

Said without reading TOML and without a module of :mod:`secretkit.config`, which a scan does not
import; a test holds it against what that reads. In doubt the answer is yes.
"""

# No pathlib on the way of the git hook.
# ruff: noqa: PTH123
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["command", "has_settings"]

_VARIABLES = ("SECRETKIT_CONFIG", "SECRETKIT_LEDGER_URL")
_NAME = "secretkit.toml"
# What a file must hold to have a table [scan] or [ledger]; a backslash may spell either.
_SIGNS = (b"scan", b"ledger", b"\\")


def has_settings(environ: Mapping[str, str], *, platform: str = sys.platform) -> bool:
    """Say whether a configuration in force here may have a ``[scan]`` table, or there is a ledger.

    Looks into the current directory, which is the top of the work tree in a git hook.
    """
    if os.path.lexists(_NAME) or not environ.keys().isdisjoint(_VARIABLES):
        return True
    mac = platform == "darwin"
    own = "Library/Application Support"
    config = _folder(environ, "XDG_CONFIG_HOME", own if mac else ".config")
    state = _folder(environ, "XDG_STATE_HOME", own if mac else ".local/state")
    if os.path.lexists(f"{state}/ledger.db"):
        return True
    if os.path.lexists("pyproject.toml") and os.path.lexists(f"{state}/trusted.json"):
        return True
    try:
        with open(f"{config}/{_NAME}", "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(sign in text for sign in _SIGNS)


def _folder(environ: Mapping[str, str], variable: str, unix: str) -> str:
    stated = environ.get(variable, "")
    if stated.startswith("/"):
        return f"{stated}/secretkit"
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        import pwd  # noqa: PLC0415 - HOME is nearly always set

        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:  # a user without an account, in a container: there is nothing of theirs
            home = "/nonexistent"
    return f"{home}/{unix}/secretkit"


def command(stage: str, words: list[str], *, program: str, root: str) -> list[str]:
    """Give the command line that runs a hook by these settings, with what reads them: 150 ms."""
    call = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from secretkit.cli.entry import main; sys.exit(main())"
    )
    python = [sys.executable, "-X", "utf8", "-I", "-c", call, root]
    return [*python, "hook", "run", "--stage", stage, "--git", program, "--", *words]
