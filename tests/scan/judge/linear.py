"""Linear: how long the expressions of a module take on text that nearly matches."""

from __future__ import annotations

import time

from secretkit.scan.judge.pattern import pattern

SIZE = 64 << 10
UNITS = (
    *("a", "A", "0", "-", "_", ".", "/", " ", "\\", '"', "(", "[", "{", "$", "%", "<", "A1", "aB"),
    *("a.", "a-", "a/", "a:", "a=", "a,", "../", "$a", "${", "{{", "%a", "a@a.", "a b ", "1.1"),
    *("-----BEGIN ", "user a ", "ENV a ", "--a ", "login ", "basic ", "password", "token", "é"),
    *("a://", "sha256:", "(?", "a->", "name: ", "a$", "'a', ", "tests", "deadbee", "a\n", "x-"),
)


def expressions(module):
    """Give the names of a module's expressions."""
    kind = type(pattern("a"))
    return sorted(name for name, value in vars(module).items() if isinstance(value, kind))


def seconds(module, name, *, longest=SIZE, whole=False):
    """Give the processor time for 64 KiB of the worst of the units, in pieces of ``longest``.

    ``whole`` says that the module looks for nothing inside a text. A piece ends with one more
    character that fits nothing, so that an expression has to look again.
    """
    expression = getattr(module, name)
    binary = isinstance(expression.pattern, bytes)
    worst = 0.0
    for unit in UNITS:
        text = (unit * longest)[: longest - 1] + "\x00"
        piece = text.encode("latin-1") if binary else text
        began = time.process_time()
        for _ in range(SIZE // longest):
            expression.match(piece)
            expression.fullmatch(piece)
            if not whole:
                expression.findall(piece)
        worst = max(worst, time.process_time() - began)
    return worst
