"""Delta: rebuilds an object from another one, and says which parts of it are new.

Format: https://git-scm.com/docs/gitformat-pack#_deltified_representation
"""

from __future__ import annotations

from typing import Final, NamedTuple

from secretkit.scan.packfile import LARGEST, DamageError

__all__ = ["Rebuilt", "apply", "target_size"]

_FEW: Final = (0, 1, 3, 7, 15)  # the lowest bytes only, without a gap
_WHOLE: Final = 0x10000  # bytes, where a copy gives no size


class Rebuilt(NamedTuple):
    """An object, and in order ``[start, stop)`` of what was not copied, empty for a seam."""

    content: bytes
    changed: list[tuple[int, int]]


class _Copy(NamedTuple):
    """How the bytes that follow one opcode of a copy are read as one little-endian number."""

    length: int
    mask: int
    shift: int


def _copy(opcode: int) -> _Copy | None:
    """Give how to read a copy; None where its bytes have a gap (one in 200 of real ones)."""
    offset, size = opcode & 15, opcode >> 4 & 7
    if offset not in _FEW or size not in _FEW:
        return None
    first = offset.bit_count()
    return _Copy(first + size.bit_count(), (1 << 8 * first) - 1, 8 * first)


_COPIES: Final = tuple(_copy(opcode) for opcode in range(256))


def target_size(delta: bytes) -> int:
    """Give how large the rebuilt object says it is."""
    return _varint(delta, _varint(delta, 0)[1])[0]


def apply(delta: bytes, base: bytes) -> Rebuilt:
    """Rebuild an object of at most 16 MiB. Costs about 0.4 µs an instruction.

    Raises:
        DamageError: for a delta that is damaged, or does not belong to ``base``.
    """
    size, at = _varint(delta, 0)
    total, at = _varint(delta, at)
    if size != len(base) or total > LARGEST:
        raise DamageError("is damaged: its delta does not fit")
    parts: list[bytes] = []
    changed: list[tuple[int, int]] = []
    done = last = 0  # last: where in the base the copy before ended; -1 behind new bytes
    end = len(delta)
    while at < end and done <= total:
        opcode = delta[at]
        at += 1
        if opcode & 0x80:
            copy = _COPIES[opcode]
            if copy is None:
                start, count, at = _slow_copy(delta, at, opcode)
            else:
                length, mask, shift = copy
                number = int.from_bytes(delta[at : at + length], "little")
                start, count, at = number & mask, number >> shift or _WHOLE, at + length
            if start != last and last >= 0:
                changed.append((done, done))
            last = start + count
            if last > size:
                raise DamageError("is damaged: its delta copies what is not there")
            parts.append(base[start:last])
            done += count
        elif not opcode:
            raise DamageError("is damaged: its delta has a reserved opcode")
        else:
            parts.append(delta[at : at + opcode])
            changed.append((done, done + opcode))
            at += opcode
            done += opcode
            last = -1
    return _joined(parts, changed, total=total, cut=-1 < last < size, valid=at == end)


def _joined(
    parts: list[bytes], changed: list[tuple[int, int]], *, total: int, cut: bool, valid: bool
) -> Rebuilt:
    content = b"".join(parts)
    if not valid or len(content) != total:
        raise DamageError("is damaged: its delta makes something else")
    if cut:
        changed.append((total, total))
    return Rebuilt(content, changed)


def _slow_copy(delta: bytes, at: int, opcode: int) -> tuple[int, int, int]:
    number = 0
    for bit in range(7):
        if opcode >> bit & 1:
            if at >= len(delta):
                raise DamageError("is damaged: its delta is cut off")
            number |= delta[at] << 8 * bit
            at += 1
    return number & 0xFFFFFFFF, number >> 32 or _WHOLE, at


def _varint(delta: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in delta[at : at + 10]:
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
    raise DamageError("is damaged: its delta is cut off")
