"""Engines: each says where rules may match; :mod:`secretkit.scan.confirm` decides whether they do.

An engine nominates: it gives pairs of a rule's index and an offset at which that rule's anchor, or
a keyword of it, ends. It may nominate too much, never too little, so every engine leads to the same
findings. An engine belongs to one thread of one process; after a fork each process has its own.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Protocol

    from secretkit.scan.engine.pack import Pack
    from secretkit.scan.rule import Rule

    class Engine(Protocol):
        """Nominates rules. One thread at a time."""

        @property
        def name(self) -> str:
            """Give what it is built on: ``hyperscan``, ``re2`` or ``re``."""
            ...

        def nominate(self, data: bytes | bytearray | memoryview) -> list[tuple[int, int]]:
            """Give (index of a rule, offset) pairs, in any order, with repeats."""
            ...


__all__ = ["NAMES", "open_built_in", "open_engine"]

NAMES = ("hyperscan", "re2", "re")
"""What an engine may be built on, the fastest first."""


def open_built_in(
    *,
    cache: str | None = None,
    progress: Callable[[str], object] | None = None,
    wanted: str | None = None,
) -> tuple[Sequence[Rule], Engine]:
    """Give the rules and hints that ship with secretkit, and the fastest engine for them.

    ``cache`` is the directory of compiled databases: with one, this takes milliseconds from the
    second time on. ``progress`` is told before something takes a second. ``wanted`` is one of
    :data:`NAMES`, to have that engine and no other.

    Raises:
        ScanError: if the wanted engine is not installed.
    """
    from secretkit.scan.decode.hint import HINT_RULES  # noqa: PLC0415 - loads re
    from secretkit.scan.engine import cache as store  # noqa: PLC0415 - hyperscan alone needs it
    from secretkit.scan.rule import built_in_rules, lazy_rules  # noqa: PLC0415 - as above

    path, module = _extension(wanted)
    if module is None:
        rules = (*built_in_rules(), *HINT_RULES)
        return rules, _without_hyperscan(rules, wanted)
    key = store.built_in_key(path)
    pack = store.read(cache, key=key) if cache and key else None
    engine = _opened(module, pack)
    if pack is not None and engine is not None:
        return lazy_rules(pack), engine
    rules = (*built_in_rules(), *HINT_RULES)
    return rules, _compiled(module, rules, cache=cache, key=key, progress=progress)


def open_engine(
    rules: Sequence[Rule],
    *,
    cache: str | None = None,
    progress: Callable[[str], object] | None = None,
    wanted: str | None = None,
) -> Engine:
    """Give the fastest engine there is for ``rules``; the rest is as in :func:`open_built_in`."""
    path, module = _extension(wanted)
    if module is None:
        return _without_hyperscan(rules, wanted)
    key = None
    if cache is not None:
        from secretkit.scan.engine import cache as store  # noqa: PLC0415 - as above
        from secretkit.scan.rule import to_record  # noqa: PLC0415 - as above

        key = store.content_key(path, map(to_record, rules))
        engine = _opened(module, store.read(cache, key=key) if key else None)
        if engine is not None:
            return engine
    return _compiled(module, rules, cache=cache, key=key, progress=progress)


def _extension(wanted: str | None) -> tuple[str, ModuleType | None]:
    """Give path and module of hyperscan's extension, if it is there and may be used."""
    from secretkit.scan.engine import native  # noqa: PLC0415 - only here

    path = native.find(sys.path) if wanted in {None, "hyperscan"} else None
    return path or "", native.load(path) if path else None


def _opened(module: ModuleType, pack: Pack | None) -> Engine | None:
    from secretkit.scan.engine.hyper import HyperscanEngine  # noqa: PLC0415 - only with hyperscan

    return None if pack is None else HyperscanEngine.opened(module, pack.database)


def _compiled(
    module: ModuleType,
    rules: Sequence[Rule],
    *,
    cache: str | None,
    key: str | None,
    progress: Callable[[str], object] | None,
) -> Engine:
    from secretkit.scan.engine import cache as store  # noqa: PLC0415 - only with hyperscan
    from secretkit.scan.engine.hyper import HyperscanEngine, compiled  # noqa: PLC0415 - as above
    from secretkit.scan.engine.pack import encode  # noqa: PLC0415 - as above
    from secretkit.scan.rule import to_record  # noqa: PLC0415 - as above

    if not rules:
        return HyperscanEngine(_nothing)  # hyperscan compiles no empty database
    if progress is not None:
        progress(f"compiling {len(rules)} rules, once")
    database = compiled(module, rules)
    if cache and key:
        records = [to_record(rule) for rule in rules]
        store.write(cache, key=key, content=encode(database, records))
    engine = HyperscanEngine.opened(module, database)
    if engine is None:
        raise _missing("hyperscan")
    return engine


def _nothing(_data: object, _on_match: object) -> None:
    """Find nothing."""


def _without_hyperscan(rules: Sequence[Rule], wanted: str | None) -> Engine:
    if wanted not in {None, *NAMES[1:]}:
        raise _missing(str(wanted))
    if wanted != "re":
        from secretkit.scan.engine.re2 import Re2Engine  # noqa: PLC0415 - loads re2

        try:
            return Re2Engine(rules)
        except ImportError:
            if wanted is not None:
                raise _missing(wanted) from None
    from secretkit.scan.engine.keyword import KeywordEngine  # noqa: PLC0415 - the last resort

    return KeywordEngine(rules)


def _missing(name: str) -> Exception:
    from secretkit.errors import ScanError  # noqa: PLC0415 - only on failure

    known = name in NAMES
    return ScanError(
        f"the engine {name} {'does not work here' if known else 'is not known'}",
        hint="pip install 'secretkit[scan]'" if known else f"one of {', '.join(NAMES)}",
    )
