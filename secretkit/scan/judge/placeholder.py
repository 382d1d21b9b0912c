"""Placeholder: text that stands where a secret would."""

from __future__ import annotations

import re
from typing import Final

from secretkit.scan.judge import entropy, word
from secretkit.scan.judge.pattern import pattern

__all__ = ["placeholder", "template"]

_SAYS_SO: Final = pattern(
    r"example|sample|dummy|placeholder|changeme|change[-_]?it|change[-_]this|replace|redacted|removed|"
    r"y[-_]?o[-_]?u[-_]?r[-_]|your(?:api|access|secret|token|key|pass)|insert[-_]|enter[-_]|todo|fixme|"
    r"notreal|not[-_]a|fake|mock(?:ed|api|key|tok)|foobar|lorem|ipsum|invalid|undefined|"
    r"deadbeef|cafebabe|d00d|hidden|masked|censored|secretgoeshere|goes[-_]?here|put[-_]|xxxx|\.\.\.|\*\*\*|___|…",
    re.IGNORECASE,
)
_TEMPLATE: Final = pattern(
    r"\$\{|\$\(|\{\{|\}\}|#\{|<%|%>|\$\$|%\(|@\{|\{\}|\{(?!S?SHA|CRYPT|S?MD5|PBKDF)[A-Za-z_][\w.]*\}|"
    r"^%\w|^\$[A-Za-z_]\w*$|%[A-Za-z_]+%|^<[^<>]*>?$|^\[[A-Za-z _-]*\]$|^__\w+__$|\$[A-Z_]{3,}|"
    r"(?:^|[^A-Za-z0-9])%[sd](?![A-Za-z0-9])|^@@\w+@@$"
)
_SIGNS: Final = frozenset("${}%<>@[_")  # one of them is in every template
_RUN: Final = 6
_LONG: Final = 24
_MOST: Final = 512
_FEWEST: Final = 4  # distinct characters
_COUNTED: Final = 0.7  # share of the value that only counts up
_WORDED: Final = 0.7


def template(value: str) -> bool:
    """Say whether ``value`` is filled in elsewhere: a variable, a format, a tag."""
    return not _SIGNS.isdisjoint(value) and _TEMPLATE.search(value) is not None


def placeholder(value: str) -> bool:
    """Say whether ``value`` is plainly none: it says so, repeats itself, or only counts."""
    value = value[:_MOST]
    if _SAYS_SO.search(value) or template(value):
        return True
    size = len(value)
    if size >= 8 and len(set(value.lower())) <= _FEWEST:  # noqa: PLR2004 - shorter may be chance
        return True
    # A run of A in base64 is a run of zero bytes, which tokens that carry fields have.
    noise = value.replace("A", "")
    if 4 * len(noise) < size or entropy.stuck(noise) >= max(_RUN, size // 8):
        return True
    if entropy.sequential(value) >= _COUNTED:
        return True
    return size >= _LONG and (entropy.periodic(value) or word.coverage(value) >= _WORDED)
