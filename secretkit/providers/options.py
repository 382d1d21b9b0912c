"""Options: a table in the configuration, read with types and without guessing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, RefError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["Options", "nearest"]

_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>ms|s|m|h|d)")
_UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def nearest(name: str, names: Iterable[str]) -> str:
    """Give the one of ``names`` that ``name`` is probably a slip of, or an empty string."""
    import difflib  # noqa: PLC0415 - only a failing call needs it

    known = {one.lower(): one for one in names}
    found = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    return known[found[0]] if found else ""


class Options:
    """The options of a provider, an identity or a credential. No message holds a value.

    A key ``type`` is passed over: it belongs to the registry.
    """

    __slots__ = ("_path", "_table", "_type_name")

    def __init__(
        self,
        table: Mapping[str, object],
        *,
        type_name: str,
        known: Collection[str],
        noun: str = "provider",
        path: str = "",
    ) -> None:
        """Take a table. ``path`` is where it stands in the one that errors are placed in.

        Raises:
            ConfigError: if it holds an option that is not among ``known``.
        """
        self._table = table
        self._type_name = f"{type_name} {noun}".strip()
        self._path = f"{path}." if path else ""
        for key in table:
            if key not in known and key != "type":
                raise ConfigError(
                    f"the {self._type_name} has no option {key!r}",
                    key_path=f"{self._path}{key}",
                    hint=_known_hint(key, known),
                )

    def text(self, key: str, *, default: str = "") -> str:
        """Give a non-empty string."""
        if key not in self._table:
            return default
        value = self._table[key]
        if not isinstance(value, str) or not value or "\0" in value:
            raise self.wrong(key, expected="a non-empty string")
        return value

    def required(self, key: str, *, expected: str = "a non-empty string") -> str:
        """Give a non-empty string that must be there."""
        if key not in self._table:
            raise self.wrong(key, expected=expected)
        return self.text(key)

    def ref(self, key: str) -> SecretRef | None:
        """Give a reference, or None if it is not there."""
        if key not in self._table:
            return None
        try:
            return SecretRef.parse(self.text(key))
        except RefError:
            pass
        raise self.wrong(key, expected="a reference such as file:/run/secrets/token or env:TOKEN")

    def flag(self, key: str) -> bool:
        """Give true or false; false if it is not there."""
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, expected="true or false")
        return value

    def count(self, key: str, *, default: int, most: int) -> int:
        """Give a whole number from 1 to ``most``."""
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.wrong(key, expected=f"a whole number from 1 to {most}")
        return value

    def inner(self, key: str, *, known: Collection[str]) -> Options:
        """Give the options of a table in this one, which may be empty."""
        return Options(
            self.table(key),
            type_name=self._type_name,
            known=known,
            noun="",
            path=f"{self._path}{key}",
        )

    def __contains__(self, key: str) -> bool:
        """Say whether the option is there."""
        return key in self._table

    def choice(self, key: str, *, among: Sequence[str]) -> str:
        """Give one of ``among``; the first is the default."""
        value = self._table.get(key, among[0])
        if value not in among:
            quoted = " or ".join(f'"{one}"' for one in among)
            raise self.wrong(key, expected=quoted)
        return str(value)

    def duration(self, key: str, *, default: timedelta) -> timedelta:
        """Give a duration above zero, written as a number and ms, s, m, h or d: ``"15m"``."""
        if key not in self._table:
            return default
        value = self._table[key]
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match["count"]) == 0:
            raise self.wrong(key, expected='a duration such as "250ms", "10s", "15m" or "1h"')
        try:
            return int(match["count"]) * _UNITS[match["unit"]]
        except OverflowError:
            raise self.wrong(key, expected="a duration below 999999999 days") from None

    def texts(self, key: str, *, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Give a list of non-empty strings."""
        if key not in self._table:
            return tuple(default)
        value = self._table[key]
        if not isinstance(value, (list, tuple)) or not value:
            raise self.wrong(key, expected='a list of strings such as ["one", "two"]')
        for item in value:
            if not isinstance(item, str) or not item or "\0" in item:
                raise self.wrong(key, expected="a list in which every item is a non-empty string")
        return tuple(value)

    def items(self, key: str) -> Sequence[object]:
        """Give a required, non-empty list whose items the caller reads."""
        value = self._table.get(key)
        if not isinstance(value, (list, tuple)) or not value:
            raise self.wrong(key, expected="a list with at least one item")
        return value

    def table(self, key: str) -> Mapping[str, object]:
        """Give a table, empty if it is not there."""
        value = self._table.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, expected="a table")
        return value

    def wrong(self, key: str, *, expected: str) -> ConfigError:
        """Make the error for an option that is missing or is not ``expected``."""
        state = "is not usable" if key in self._table else "is missing"
        return ConfigError(
            f"the option {key!r} of the {self._type_name} {state}",
            key_path=f"{self._path}{key}",
            hint=f"write {expected}",
        )


def _known_hint(key: str, known: Collection[str]) -> str:
    if not known:
        return "it takes no options; remove it"
    near = nearest(key, known)
    listed = "it takes " + ", ".join(sorted(known))
    return f"did you mean {near}? {listed}" if near else listed
