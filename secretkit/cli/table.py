"""Table: the ``[scan]`` table of the configuration in force, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from secretkit.errors import ConfigError
from secretkit.scan.run import CONFIDENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretkit.config.schema import Config
    from secretkit.scan.rule import Rule

__all__ = ["ScanTable"]

_KEYS: Final = frozenset({"confidence", "exclude", "rules"})


class ScanTable:
    """What the user has set for every scan: ``exclude``, ``rules`` and ``confidence``.

    Raises:
        ConfigError: for a key that is none of these, and for a value that cannot be used.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._table: Mapping[str, Any] = config.scan
        odd = sorted(self._table.keys() - _KEYS)
        if odd:
            raise self._wrong(odd[0], f"is none of {', '.join(sorted(_KEYS))}")

    def confidence(self, asked: str | None) -> str:
        """Give how sure a finding must be; what was ``asked`` for goes first."""
        wanted: str = asked or self._table.get("confidence", "medium")
        if wanted not in CONFIDENCES:
            raise self._wrong("confidence", f"is none of {', '.join(CONFIDENCES)}")
        return wanted

    def listed(self, name: str) -> tuple[str, ...]:
        """Give a list of strings."""
        value = self._table.get(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, "is a list of strings")
        return tuple(value)

    def rules(self, more: Sequence[Path] = (), *, say: Callable[[str], object]) -> list[Rule]:
        """Give the rules in the files that are set, and in ``more``."""
        own = self._config.file.parent if self._config.file else Path()
        files = [*(own / name for name in self.listed("rules")), *more]
        if not files:
            return []
        from secretkit.cli.ruleset import own_rules  # noqa: PLC0415 - few have some

        return own_rules(files, say=say)

    def _wrong(self, name: str, why: str) -> ConfigError:
        return ConfigError(
            why, file=str(self._config.file), key_path=f"scan.{name}", hint="see docs/scan.md"
        )
