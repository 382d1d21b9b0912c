"""Hint: what an engine looks for to say that something may be encoded here.

Decoding costs per byte, and nearly all text holds nothing encoded. So each encoding has a rule that
engines nominate like any other; it is never confirmed, only acted on.
"""

from __future__ import annotations

from typing import Final

from secretkit.scan.decode import HINTS
from secretkit.scan.rule import Rule

__all__ = ["HINT_RULES"]

_PIECE: Final = r"[0-9A-Za-z_/+=.:@%~!#$&*-]{2}"  # the ends of what is joined; see decode.joined
_ANCHORS: Final = {
    # 40 characters hold 30 bytes, the shortest key worth hiding. Identifiers and paths reach that
    # length too, but seldom without a dot, a dash or an underscore.
    "base64": r"[A-Za-z0-9+/]{40}|[A-Za-z0-9_-]{100}",
    "kubernetes": r"kind[\"']?:[ \t]{0,4}[\"']?Secret",
    # Longer than a SHA-256, of which source code is full.
    "hex": r"[0-9a-fA-F]{66}",
    # Only what keys hold beside letters and digits: + / = : @ _ - .
    "percent": r"%(?:2[BbFfDdEe]|3[AaDd]|40|5[Ff])[0-9A-Za-z%]{4}",
    # An operator between two literals, or at the end of a line behind one; or a literal at the end
    # of a line and another at the beginning of the next. With the ends of both pieces this costs
    # an engine nothing; without them, a fifth of its speed.
    "literals": _PIECE + r"[\"'`][ \t]?(?:"
    r"(?:\+|\.\.?|&|\|\||<>|\\)[ \t]?(?:[rbuf@$]?[\"'`]" + _PIECE + r"|\\?\r?\n)"
    r"|\\?\r?\n[ \t]{0,79}(?:(?:\+|\.\.?|&|\|\||<>)[ \t]{0,8})?[rbuf@$]?[\"'`]" + _PIECE + r")",
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
