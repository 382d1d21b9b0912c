"""Where a user's files stand: the directories that platformdirs gives, for a given environment.

platformdirs reads the process's environment; this takes it as a parameter. A test compares both.
"""

from __future__ import annotations

import pwd
import sys
from os import geteuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["config_dir", "home_dir", "state_dir"]


def home_dir(environ: Mapping[str, str]) -> Path:
    """Give ``HOME``, or the home of the effective user where it is not set or not absolute."""
    stated = environ.get("HOME", "")
    if stated.startswith("/"):
        return Path(stated)
    return Path(pwd.getpwuid(geteuid()).pw_dir)


def config_dir(environ: Mapping[str, str]) -> Path:
    """Give the directory of the user's own configuration."""
    return _dir(environ, variable="XDG_CONFIG_HOME", unix=".config")


def state_dir(environ: Mapping[str, str]) -> Path:
    """Give the directory of what must survive a restart: ledger, local store, trust list."""
    return _dir(environ, variable="XDG_STATE_HOME", unix=".local/state")


def _dir(environ: Mapping[str, str], *, variable: str, unix: str) -> Path:
    stated = environ.get(variable, "")
    if stated.startswith("/"):  # the XDG specification: relative paths are to be ignored
        return Path(stated) / "secretkit"
    if sys.platform == "darwin":
        unix = "Library/Application Support"
    return home_dir(environ) / unix / "secretkit"
