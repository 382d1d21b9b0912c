"""Hint: what an engine looks for to say that something may be encoded here.

Decoding costs per byte, and nearly all text holds nothing encoded. So each encoding has a rule that
engines nominate like any other; it is never confirmed, only acted on.
"""

from __future__ import annotations

from typing import Final

from secretkit.scan.decode import HINTS
from secretkit.scan.rule import Rule

__all__ = ["HINT_RULES"]

_ANCHORS: Final = {
    # 40 characters hold 30 bytes, the shortest key worth hiding. Identifiers and paths reach that
    # length too, but seldom without a dot, a dash or an underscore.
    "base64": r"[A-Za-z0-9+/]{40}|[A-Za-z0-9_-]{100}",
    "kubernetes": r"kind[\"']?:[ \t]{0,4}[\"']?Secret",
    # Longer than a SHA-256, of which source code is full.
    "hex": r"[0-9a-fA-F]{66}",
    # Only what keys hold beside letters and digits: + / = : @ _ - .
    "percent": r"%(?:2[BbFfDdEe]|3[AaDd]|40|5[Ff])[0-9A-Za-z%]{4}",
    # An operator between two literals, or at the end of a line behind one. That literals stand on
    # lines of their own is seen without an engine: it would cost a fifth of its speed.
    "literals": r"[\"'`] ?(?:\+|\.\.?|&|\|\||<>|\\) ?(?:[\"'`]|\r?\n)",
    "block": r": [|>][0-9+-]{0,2}[ \t]{0,4}\r?\n",
}

HINT_RULES: Final = tuple(
    Rule(
        id=f"hint-{name}",
        issuer="secretkit",
        description="Encoded text",
        pattern=_ANCHORS[name],
        anchor=_ANCHORS[name],
        keywords=(f"hint-{name}",),  # engines that look for keywords always nominate a hint
        severity="low",
        confidence="low",
        judged="hint",
    )
    for name in HINTS
)
