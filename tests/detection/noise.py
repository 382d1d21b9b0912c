"""Noise: values that look drawn at random and are the same for the same seed."""

from __future__ import annotations

import hashlib
import string

LOWER = string.ascii_lowercase
UPPER = string.ascii_uppercase
DIGITS = string.digits
HEX = "0123456789abcdef"
LOWNUM = LOWER + DIGITS
UPNUM = UPPER + DIGITS
ALNUM = string.ascii_letters + DIGITS
BASE64 = ALNUM + "+/"
BASE64URL = ALNUM + "-_"
BASE32 = UPPER + "234567"
SIGNS = "!@#%^*-_=+?~."


class Noise:
    """Draws from a stream of bytes that its seed decides."""

    def __init__(self, seed):
        self._stream = hashlib.shake_256(seed.encode()).digest(1 << 18)
        self._at = 0

    def number(self, below):
        self._at = (self._at + 4) % (len(self._stream) - 4)
        return int.from_bytes(self._stream[self._at : self._at + 4], "big") % below

    def pick(self, choices):
        return choices[self.number(len(choices))]

    def text(self, alphabet, length):
        return "".join(self.pick(alphabet) for _ in range(length))

    def uuid(self):
        digits = self.text(HEX, 32)
        return "-".join(
            (digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:])
        )

    def password(self):
        """Give what people are given or make up: 7 to 18 characters of two to four kinds."""
        shape = self.number(5)
        if shape == 0:
            return self.text(ALNUM, 8 + self.number(9))
        if shape == 1:
            return self.text(ALNUM + SIGNS, 10 + self.number(9))
        if shape == 2:  # pronounced by nobody, with digits behind
            return self.text(LOWER, 5 + self.number(4)) + self.text(DIGITS, 2 + self.number(3))
        if shape == 3:
            return (
                self.text(UPPER, 1)
                + self.text(LOWER, 5)
                + self.pick("!@#%&*")
                + self.text(DIGITS, 3)
            )
        return self.text(LOWNUM, 8 + self.number(6))
