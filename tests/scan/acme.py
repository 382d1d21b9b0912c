"""Two rules for tests, one of a format and one that is judged, and keys of that format."""

from __future__ import annotations

from secretkit.scan.rule import parse_rules

RULES = parse_rules(
    r"""
issuer = "acme"
revoke = "at acme"
[[rule]]
id = "acme-key"
description = "Acme key"
pattern = 'acme-[0-9a-f]{16}'
keywords = ["acme-"]
severity = "high"
confidence = "high"
matches = []
misses = []
[[rule]]
id = "any-key"
description = "A key"
pattern = '''(?i)key[ \t]{0,3}=[ \t]{0,3}["']?(?P<secret>[0-9a-z-]{8,40})'''
keywords = ["key"]
severity = "medium"
confidence = "medium"
judged = "value"
matches = []
misses = []
""",
    file="acme.toml",
)
KEY = b"acme-" + b"9f31c07be2a84d56"
OTHER = b"acme-" + b"0d27be91a5c3f846"
