"""Ruleset: the rules that a user adds to ours: files of our own kind, or of gitleaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.core.record import replace
from secretkit.errors import ConfigError
from secretkit.scan.rule import built_in_rules, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from secretkit.scan.rule import Rule

__all__ = ["own_rules"]


def own_rules(files: Iterable[Path], *, say: Callable[[str], object]) -> list[Rule]:
    """Give the rules in ``files``; ``say`` is told what could not be taken over from gitleaks.

    Raises:
        ConfigError: for a file that cannot be read, or a rule that is wrong or there twice.
    """
    rules: list[Rule] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8"
            raise ConfigError(why, file=str(file), hint="--rules FILE") from None
        rules += _read(text, str(file), say)
    if rules:
        _check([rule.id for rule in (*built_in_rules(), *rules)])
    return rules


def _read(text: str, file: str, say: Callable[[str], object]) -> Sequence[Rule]:
    from secretkit.scan import gitleaks  # noqa: PLC0415 - few have rules of their own

    if not gitleaks.is_gitleaks(text):
        return parse_rules(text, file=file)
    read = gitleaks.parse_gitleaks(text, file=file)
    for line in gitleaks.summary(read.notes, file=file, count=len(read.rules)):
        say(line)
    taken = {rule.id for rule in built_in_rules()}
    return [
        replace(rule, id=f"gitleaks-{rule.id}") if rule.id in taken else rule for rule in read.rules
    ]


def _check(names: Sequence[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"there are two rules {min(twice)}", hint="give yours a name of its own")
