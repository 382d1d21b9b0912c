"""Wrapped: says cheaply whether text may hold other text that a decoder would take out of it.

A yes costs a full scan, 30 ms; a no must be right: it speaks for every decoder in
:mod:`secretkit.scan.decode`. No re here, and no line is looked at alone unless it must be.
"""

from __future__ import annotations

from binascii import Error, a2b_base64

__all__ = ["encoded", "joined"]

_RUNS = frozenset({"base64", "kubernetes", "hex"})
_SHORT, _LONG = 12, 40  # characters: what a Secret of Kubernetes may hold, and what anything may
_WORDS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_SPACED = bytes(byte if byte in _WORDS else 0x20 for byte in range(256))
_STANDARD = bytes.maketrans(b"-_", b"+/")
_NOT_HEX = b"0123456789abcdefABCDEF"
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_GZIP, _ZIP = b"H4sI", b"UEsDB"  # how they begin in base64
_QUOTES = bytes.maketrans(b"'`", b'""')
_QUOTE = b'"'
_BLANK, _PREFIX = b" \t\r", b"rbufRBUF@$"
_JOINS = (b'"+"', b'"."', b'".."', b'"&"', b'"||"', b'"<>"', b'"\\"')
_OPERATORS = b"+.&|<>\\"
_HEADERS = (b":|", b":>", b"=|", b"=>")
_INDICATOR = b"0123456789+-"
_ENDS = (b"|", b">", *(b"%c" % byte for byte in _INDICATOR))
_LEAST_BLOCK = 8


def encoded(text: bytes, *, hints: frozenset[str]) -> bool:
    """Say whether base64, hexadecimal or percent-encoded text is in ``text``. 10 ms a MB.

    ``hints`` are the encodings that an engine has seen a sign of; there is none of any other.
    """
    for piece in text.split(b"%")[1:] if "percent" in hints else ():
        try:
            if int(piece[:2], 16) >= 0x20:  # noqa: PLR2004 - the first that prints
                return True
        except ValueError:
            continue
    if not hints & _RUNS:
        return False
    least = _SHORT if "kubernetes" in hints else _LONG
    runs = [run for run in text.translate(_SPACED).split() if len(run) >= least]
    return any(_is_encoded(run) for run in runs)


def _is_encoded(run: bytes) -> bool:
    if len(run) < _LONG:
        return not (run.islower() or run.isupper()) and _holds_text(run)
    if not run.translate(None, _NOT_HEX):
        text = run.decode("ascii")
        return any(
            _is_text(bytes.fromhex(text[at : len(run) - (len(run) - at) % 2])) for at in (0, 1)
        )
    if _GZIP in run or _ZIP in run:
        return True
    # A line of a longer run may begin anywhere in a group of four.
    return any(_holds_text(run[at:]) for at in range(4))


def _holds_text(run: bytes) -> bool:
    run = run.translate(_STANDARD)
    try:
        return _is_text(a2b_base64(run[: len(run) - (len(run) % 4 == 1)] + b"=" * (-len(run) % 4)))
    except Error:
        return False


def _is_text(content: bytes) -> bool:
    return len(content.translate(None, _PRINTABLE)) * 20 <= len(content)


def joined(lines: list[bytes], *, fresh: list[int], hints: frozenset[str]) -> bool:
    """Say whether a value in pieces may be there, at least one of them in a ``fresh`` line.

    Pieces are literals with an operator or a line break between them, or lines of a YAML block.
    ``fresh`` are indexes of ``lines``, in order; ``hints`` as for :func:`encoded`.
    """
    if "literals" in hints and _adjacent(lines, fresh):
        return True
    if "block" not in hints:
        return False
    plain = b"\n".join(lines).translate(None, _BLANK + _INDICATOR)
    return any(header + b"\n" in plain for header in _HEADERS) and _block(lines, set(fresh))


def _adjacent(lines: list[bytes], fresh: list[int]) -> bool:
    around: list[int] | range = range(0)
    if fresh and fresh[-1] - fresh[0] == len(fresh) - 1:  # as nearly always: all in one place
        around = range(max(0, fresh[0] - 1), min(len(lines), fresh[-1] + 2))
    elif fresh:
        beside = {at for number in fresh for at in (number - 1, number, number + 1)}
        around = sorted(at for at in beside if 0 <= at < len(lines))
    near, new = [lines[at] for at in around], frozenset(fresh)
    flat = b"\n".join(near).translate(_QUOTES, _BLANK).translate(None, _PREFIX)
    for join in _JOINS:
        low, number, high = 0, 0, flat.find(join)
        while high >= 0:
            number, low = number + flat.count(b"\n", low, high), high
            at = around[number]
            if at in new and _literals(lines[at]):
                return True
            end = flat.find(b"\n", low)  # once a line
            high = flat.find(join, end) if end >= 0 else -1
    bare = flat.translate(None, _OPERATORS)
    if _QUOTE + b"\n" + _QUOTE not in bare:
        return False
    bares = bare.split(b"\n")
    return any(
        bares[at].endswith(_QUOTE)
        and bares[at + 1].startswith(_QUOTE)
        and _continued(near[at], near[at + 1])
        for at in range(len(near) - 1)
    )


def _literals(line: bytes) -> bool:
    """Say whether two literals of two characters or more, without a space, are joined."""
    pieces = line.translate(_QUOTES).split(_QUOTE)
    for before, between, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        flat = b'"' + between.translate(None, _BLANK + _PREFIX) + b'"'
        if flat in _JOINS and _solid(before) and _solid(after):
            return True
    return False


def _solid(piece: bytes) -> bool:
    return len(piece) > 1 and b" " not in piece and b"," not in piece


def _continued(first: bytes, second: bytes) -> bool:
    """Say whether a literal ends the one line and another begins the next."""
    ends = first.translate(_QUOTES).rstrip(_BLANK + _OPERATORS)
    begins = second.translate(_QUOTES).lstrip(_BLANK + _OPERATORS + _PREFIX)
    if not (ends.endswith(_QUOTE) and begins.startswith(_QUOTE)):
        return False
    return _solid(ends[:-1].rpartition(_QUOTE)[2]) and _solid(begins[1:].partition(_QUOTE)[0])


def _block(lines: list[bytes], fresh: set[int]) -> bool:
    """Say whether two lines without spaces follow a line that ends like the head of a block."""
    touched = within = False
    count = 0
    for at, line in enumerate(lines):
        bare = line.rstrip(_BLANK)
        if bare.endswith(_ENDS) and bare.rstrip(_INDICATOR).translate(None, _BLANK).endswith(
            _HEADERS
        ):
            within, count, touched = True, 0, at in fresh
            continue
        if not within:
            continue
        inner = bare.lstrip(b" \t")
        within = _LEAST_BLOCK <= len(inner) < len(bare) and not (b" " in inner or b"\t" in inner)
        count, touched = count + within, touched or at in fresh
        if within and count > 1 and touched:
            return True
    return False
