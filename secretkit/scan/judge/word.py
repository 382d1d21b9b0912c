"""Word: how much of a text is words, and how much it surprises a reader of code.

``words.txt`` holds words that are frequent in code, one a line. ``bigram.txt`` holds 59 rows of 59
characters: how many quarter bits a reader of code is surprised by the column's character behind the
row's, as a character above ``0``. Rows and columns are a to z, A to Z, a digit, ``_``, ``-``,
``.``, ``/``, any other, and the edge of the text. Both were counted over the 1.6 million distinct
tokens of the sources and documents of Python, Node.js, Perl and C that a Debian machine carries.
"""

from __future__ import annotations

import functools
import os
import string
from typing import Final

from secretkit.scan.judge.pattern import pattern

__all__ = ["coverage", "easy", "surprise"]

_SIDE: Final = 59
_EDGE: Final = 58
_DIGIT: Final = 52
_DIGIT_BITS: Final = 3.32  # which of ten digits: the table knows only that it is one
_CLASSES: Final = {
    character: index
    for index, character in enumerate(string.ascii_lowercase + string.ascii_uppercase)
} | {**dict.fromkeys(string.digits, _DIGIT), "_": 53, "-": 54, ".": 55, "/": 56}
_OTHER: Final = 57
_RUN: Final = pattern("[A-Za-z]{3,}")  # no word is shorter
_HUMP: Final = pattern("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_LONGEST: Final = 14
_SHORTEST: Final = 3
_JOINED: Final = 4  # words of three letters are found in noise when they may stand anywhere
_MOST: Final = 256
_EASY: Final = 0.4
_SPELLED: Final = str.maketrans("0134579@$", "oieastgas")  # letters, as people write them
_RESPELLED: Final = 0.7
_SPOKEN: Final = 5  # letters in a row
_SOUND: Final = 5.6  # bits a letter


def _text(name: str) -> str:
    path = os.path.join(os.path.dirname(__file__), name)  # noqa: PTH118, PTH120 - pathlib takes 4 ms
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        from importlib import resources  # noqa: PLC0415 - 10 ms, and only out of a zip archive

        return resources.files(__package__).joinpath(name).read_text("ascii")
    try:
        return os.read(file, os.fstat(file).st_size).decode("ascii")
    finally:
        os.close(file)


@functools.cache
def _costs() -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple((ord(c) - 48) / 4 + (_DIGIT_BITS if i == _DIGIT else 0) for i, c in enumerate(row))
        for row in _text("bigram.txt").split()
    )


@functools.cache
def _words() -> frozenset[str]:
    return frozenset(_text("words.txt").split())


def surprise(text: str) -> float:
    """Give bits a character by which ``text`` surprises: words about 4.5, random base62 8.7."""
    costs, before, total = _costs(), _EDGE, 0.0
    text = text[:_MOST]
    for character in text:
        index = _CLASSES.get(character, _OTHER)
        total += costs[before][index]
        before = index
    return total / len(text) if text else 0.0


def coverage(text: str) -> float:
    """Give the share of the letters and digits of ``text`` that are in words, 0 to 1."""
    text = text[:_MOST]
    signs = sum(map(str.isalnum, text))
    if not signs:
        return 0.0
    covered = 0
    for run in _RUN.findall(text):
        humps = _HUMP.findall(run)
        covered += max(sum(map(_known, humps)), _known(run)) if len(humps) > 1 else _known(run)
    return covered / signs


def easy(text: str) -> bool:
    """Say whether most of ``text`` is words, or can be spoken: ``tiger^5HHH``, ``S3cuR1ty``."""
    if coverage(text) >= _EASY or coverage(text.translate(_SPELLED)) >= _RESPELLED:
        return True
    run = max(_RUN.findall(text), key=len, default="")
    return len(run) >= max(_SPOKEN, len(text) / 2) and surprise(run.lower()) < _SOUND


@functools.lru_cache(4096)
def _known(run: str) -> int:
    """Count the letters of ``run`` that words cover, at best."""
    words, run = _words(), run.lower()
    size = len(run)
    if size < _SHORTEST:
        return 0
    if run in words or (run.endswith("s") and run[:-1] in words):
        return size
    best = [0] * (size + 1)
    for end in range(1, size + 1):
        most = best[end - 1]
        for start in range(max(0, end - _LONGEST), end - _JOINED + 1):
            if best[start] + end - start > most and run[start:end] in words:
                most = best[start] + end - start
        best[end] = most
    return best[size]
