"""Native: loads hyperscan's extension by its path, and compiled databases into it.

``import hyperscan`` costs 8 ms, of which 6 are :mod:`typing` for one class that nobody here uses;
the extension alone costs 2. The git hook starts for every commit, so it pays for the extension
only. This module imports nothing that the interpreter has not loaded already.
"""

# pathlib is not loaded on the way of the git hook.
# ruff: noqa: PTH112, PTH113, PTH117
from __future__ import annotations

import _imp
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType
    from typing import Any

__all__ = ["BLOCK", "find", "load", "open_database"]

BLOCK = 1  # HS_MODE_BLOCK
_NAME = "hyperscan._hs_ext"


def find(paths: Iterable[str]) -> str | None:
    """Give the path of hyperscan's extension below one of ``paths``, or None.

    ``paths`` is a ``sys.path``. An entry that is not absolute is passed over: it would be looked
    for in the directory that is scanned.
    """
    suffixes = _imp.extension_suffixes()
    for folder in paths:
        if os.path.isabs(folder) and os.path.isdir(f"{folder}/hyperscan"):
            for suffix in suffixes:
                path = f"{folder}/hyperscan/_hs_ext{suffix}"
                if os.path.isfile(path):
                    return path
    return None


def load(path: str) -> ModuleType | None:
    """Give hyperscan's extension from the file ``path``; None if it does not load here.

    A later ``import hyperscan`` gets the same module, and this one gets what that has loaded.
    """
    loaded = sys.modules.get(_NAME)
    if loaded is not None:
        return loaded
    spec = ModuleSpec(_NAME, ExtensionFileLoader(_NAME, path), origin=path)
    try:
        module = _imp.create_dynamic(spec)
        _imp.exec_dynamic(module)
    except ImportError:
        return None
    sys.modules[_NAME] = module
    return module


def open_database(module: ModuleType, database: bytes) -> Callable[..., Any] | None:
    """Give the scan of a serialised database, or None if hyperscan refuses it.

    The scan is called as ``scan(data, on_match)`` with anything that has a buffer of at most 4 GiB,
    and calls ``on_match(rule, start, end, flags, context)`` for each end of a match; the start is
    always 0. A true answer or an exception stops it with ``hyperscan.ScanTerminated``. It lets
    other threads run, but has one scratch space: one thread at a time. A fork copies it, so it
    works in a child too. Hyperscan itself checks the database: its version, platform and CRC-32.
    """
    try:
        opened = module.loadb(database, BLOCK)
        opened.scratch = module.Scratch(opened)
    except (module.error, RuntimeError):
        return None
    scan: Callable[..., Any] = opened.scan
    return scan
