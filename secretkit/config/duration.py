"""Durations as people write them: "15m", "1h30m", "2d"."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from secretkit.errors import ConfigError

__all__ = ["parse_duration", "write_duration"]

_SHAPE: Final = re.compile(
    r"(?:([0-9]{1,5})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,7})m)?(?:([0-9]{1,9})s)?", re.ASCII
)
_MOST: Final = timedelta(days=3650)  # ten years: far beyond any use, far below an overflow


def parse_duration(text: str) -> timedelta:
    """Read days, hours, minutes and seconds in that order, at least one of them and above zero.

    Raises:
        ConfigError: without the text in it.
    """
    match = _SHAPE.fullmatch(text)
    days, hours, minutes, seconds = (
        (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    )
    del text
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta() < length <= _MOST:
        raise ConfigError(
            "a duration was expected, above zero and at most ten years",
            hint='write it like "30s", "15m", "1h30m" or "2d"',
        )
    return length


def write_duration(length: timedelta) -> str:
    """Write whole seconds so that :func:`parse_duration` reads them back; fractions are cut."""
    left = int(length.total_seconds())
    sign = "-" if left < 0 else ""
    left = abs(left)
    text = ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return f"{sign}{text}" if text else "0s"
