"""Hardening: the options and the environment that git runs with on a repository of a stranger.

The git hook loads this for every commit, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HARDENED", "PLACES", "environment"]

# A repository's own configuration may name programs to run: a file monitor, hooks, filters, ssh.
# Porcelain stays dangerous even so: only plumbing that reads objects and the index is called.
# git refuses repositories of another user for the same reason, and what the user allowed in their
# own configuration is hidden here. To us every repository is hostile, whoever owns it, and the
# refusal adds nothing, so it is switched off (tests/faults/test_hostile_repository.py).
HARDENED = (
    "--no-optional-locks",
    "--no-pager",
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "safe.bareRepository=explicit"),
    *("-c", "safe.directory=*"),
    *("-c", "protocol.allow=never"),
    *("-c", "submodule.recurse=false"),
)
_FIXED = {
    "PATH": "/bin:/usr/bin",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
# Where git is when it is not on the system's own path: never a directory that a repository names.
PLACES = "/bin:/usr/bin:/usr/local/bin:/opt/homebrew/bin:/opt/local/bin:/run/current-system/sw/bin"
# What git sets for its hooks: where this very repository and index are. A stranger's environment
# may set them too, so they count in a hook only.
_HOOK = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
)


def environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment git runs in: constant, but for what a hook has in ``inherited``."""
    given = {} if inherited is None else {k: inherited[k] for k in _HOOK if k in inherited}
    return {**_FIXED, **given}
