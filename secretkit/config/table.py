"""One TOML table under check: typed access to its keys, with errors that say where.

An error never repeats what a value was, only what was expected: it may be a secret in the wrong
place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.config.duration import parse_duration
from secretkit.config.origin import KeyPath, dotted, line_of
from secretkit.config.schema import nearest
from secretkit.core.record import record
from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, RefError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

__all__ = ["Source", "Table"]


@record(kw_only=True)
class Source:
    """The file under check: its name for messages, where its keys stand, and a path to skip.

    ``prefix`` is ``("tool", "secretkit")`` when the table stands in a pyproject.toml.
    """

    file: str
    lines: Mapping[KeyPath, int]
    prefix: KeyPath = ()

    def line(self, path: KeyPath) -> int:
        """Give the line of a key, or 0."""
        return line_of(self.lines, self.prefix + path)

    def error(self, path: KeyPath, message: str, *, hint: str = "") -> ConfigError:
        """Build an error that names file, line and key path."""
        line = self.line(path)
        return ConfigError(
            message,
            hint=hint,
            file=f"{self.file}:{line}" if line else self.file,
            key_path=dotted(path),
        )


@record(hidden=("values", "source"))
class Table:
    """A table, its path and its source. Its values are not in the repr."""

    values: Mapping[str, object]
    path: KeyPath
    source: Source

    def error(self, key: str, message: str, *, hint: str = "") -> ConfigError:
        """Build an error about one key of this table."""
        return self.source.error((*self.path, key), message, hint=hint)

    def refuse_unknown(self, known: tuple[str, ...]) -> None:
        """Refuse keys that are not in ``known``, with the nearest name."""
        for key in self.values:
            if key not in known:
                raise self.error(
                    key,
                    "this key is not known here",
                    hint=nearest(key, known) or f"known here: {', '.join(known)}",
                )

    def table(self, key: str) -> Table:
        """Give the table at ``key``, empty if it is absent."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "a table was expected", hint=f"write it as [{key}] or {{ … }}")
        return Table(value, (*self.path, key), self.source)

    def tables(self, key: str) -> dict[str, Table]:
        """Give the named tables below ``key``."""
        outer = self.table(key)
        return {name: outer.table(name) for name in outer.values}

    def text(self, key: str) -> str | None:
        """Give a non-empty string, or None if the key is absent."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, str) and value and value.isprintable():
            return value
        raise self.error(key, "a string that prints was expected", hint=f'{key} = "…"')

    def required(self, key: str) -> str:
        """Give a non-empty string that must be there."""
        value = self.text(key)
        if value is None:
            raise self.error(key, "this key is missing", hint=f'add {key} = "…"')
        return value

    def duration(self, key: str) -> timedelta | None:
        """Give a duration, or None if the key is absent."""
        value = self.text(key)
        if value is None:
            return None
        try:
            return parse_duration(value)
        except ConfigError as error:
            raise self.error(key, str(error), hint=error.hint) from None

    def count(self, key: str) -> int | None:
        """Give a whole number of at least 1, or None if the key is absent."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_COUNT:
            return value
        raise self.error(
            key, f"a whole number from 1 to {_MOST_COUNT} was expected", hint=f"{key} = 600"
        )

    def share(self, key: str) -> float | None:
        """Give a number between 0 and 1, or None if the key is absent."""
        if key not in self.values:
            return None
        value = self.values[key]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1:
            return float(value)
        raise self.error(key, "a number between 0 and 1 was expected", hint=f"{key} = 0.6")

    def refs(self, key: str) -> tuple[SecretRef, ...]:
        """Give one reference or a list of them, at least one, none twice."""
        value = self.values.get(key)
        entries = value if isinstance(value, list) else [value]
        found = tuple(self._ref(key, entry) for entry in entries)
        if not found or len(set(found)) != len(found):
            raise self.error(
                key, "one reference, or a list of different ones, was expected", hint=_REF_HINT
            )
        return found

    def _ref(self, key: str, entry: object) -> SecretRef:
        if isinstance(entry, str):
            try:
                return SecretRef.parse(entry)
            except RefError:
                pass
        raise self.error(key, "a reference was expected, never a value", hint=_REF_HINT)


_MOST_COUNT = 1_000_000
_REF_HINT = (
    "write it as provider:path[#field][@version]; secretkit set NAME stores a value as local:NAME"
)
