"""Candidate: a match in a line, made of the text before its value, the value, what follows."""

from __future__ import annotations

from secretkit.scan.judge import Candidate
from secretkit.scan.rule import Rule


def candidate(before, value, after="", *, path="a.env", start=0, **rule):
    given = {"id": "a-rule", "issuer": "acme", "confidence": "high"} | rule
    data = f"{before}{value}{after}".encode()
    at = len(before.encode())
    return Candidate(
        rule=Rule(description="", pattern=".", keywords=(), severity="high", **given),
        data=data,
        start=start,
        end=at + len(value.encode()),
        secret_start=at,
        secret_end=at + len(value.encode()),
        path=path,
    )
