"""Content: scans one open file, however large, in bounded memory and time."""

from __future__ import annotations

import codecs
import os
import stat
from typing import TYPE_CHECKING, Final

from secretkit.scan.confirm import CORE
from secretkit.scan.deadline import DeadlineError, deadline
from secretkit.scan.decode import is_archive
from secretkit.scan.finding import Skipped
from secretkit.scan.result import WHOLE, Result, Window
from secretkit.scan.summary import NOTHING, Summary, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.scan.scanner import Scanner
    from secretkit.scan.summary import Tally

__all__ = ["LARGEST", "scan_descriptor", "scan_text"]

LARGEST: Final = 256 << 20
_WINDOW: Final = 4 << 20
_MARGIN: Final = 8 * CORE  # read on both sides of a window; more than the reach of any rule
_HEAD: Final = 512  # bytes, in which archives and encodings show
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_CLEAN: Final = Result()
_UNPACKED: Final = 32 << 20  # what must be read at once to be unpacked is at most this large


def scan_descriptor(
    descriptor: int,
    *,
    path: str,
    scanner: Scanner,
    facts: os.stat_result | None = None,
    tally: Tally | None = None,
) -> Summary:
    """Scan a regular file and close it; give :data:`~summary.NOTHING` for any other kind.

    At most 256 MiB of it are read, 4 MiB at a time; what is left over is reported as skipped.
    ``facts`` is what :func:`os.fstat` says of it, for whoever has asked already. With a ``tally``
    a small file in which there is nothing is counted there, and nothing is given for it either.
    """
    try:
        facts = facts or os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return NOTHING
        if facts.st_size <= _WINDOW:
            data = os.read(descriptor, facts.st_size + 1)
            if len(data) != facts.st_size:  # it changed, or what it lies on reads in pieces
                data += _read(descriptor, _WINDOW + 1 - len(data))
            if len(data) <= _WINDOW:
                result = scan_text(data, path=path, scanner=scanner)
                if result is not _CLEAN or tally is None:
                    return _summary(result, size=len(data))
                tally.files += 1
                tally.size += len(data)
                return NOTHING
            os.lseek(descriptor, 0, os.SEEK_SET)  # it grew
        return _large(descriptor, path=path, scanner=scanner, size=facts.st_size)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return Summary(skipped=(Skipped(path=path, reason=reason),))
    finally:
        os.close(descriptor)


def scan_text(data: bytes, *, path: str, scanner: Scanner, window: Window = WHOLE) -> Result:
    """Scan bytes within their deadline; what took too long is reported as skipped.

    Bytes in which nothing is nominated, which is most, cost one pass of the engine and no more.
    """
    try:
        nominated = scanner.glance(data, path=path)
        if nominated is None:
            return _CLEAN
        with deadline(size=len(data)):
            return scanner.scan(data, path=path, window=window, nominated=nominated)
    except DeadlineError as error:
        return Result(skipped=(Skipped(path=path, reason=str(error)),))


def _large(descriptor: int, *, path: str, scanner: Scanner, size: int) -> Summary:
    """Scan a file in windows, as it is and as the text it holds, or at once if it is packed."""
    parts: list[Summary] = []
    head = os.pread(descriptor, _HEAD, 0)
    if is_archive(head):
        if size <= _UNPACKED:
            data = _read(descriptor, _UNPACKED)
            return _summary(scan_text(data, path=path, scanner=scanner), size=len(data))
        reason = f"is packed and larger than {_UNPACKED >> 20} MiB: not unpacked"
        parts.append(Summary(skipped=(Skipped(path=path, reason=reason),)))
    source = _Source(descriptor)
    parts.extend(_each(source, path=path, scanner=scanner))
    if source.read >= LARGEST and os.read(descriptor, 1):
        reason = f"only the first {LARGEST >> 20} MiB were scanned"
        parts.append(Summary(skipped=(Skipped(path=path, reason=reason),)))
    encoding = _encoding(head)
    if encoding is not None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = _Source(descriptor, encoding=encoding)
        parts.extend(_each(text, path=path, scanner=scanner))
    return total([*parts, Summary(files=1, size=source.read)])


def _each(source: _Source, *, path: str, scanner: Scanner) -> Iterator[Summary]:
    for data, window in _windows(source):
        found = scan_text(data, path=path, scanner=scanner, window=window)
        yield _summary(found, size=0, files=0)


def _encoding(head: bytes) -> str | None:
    """Give the encoding of text that is not read as it is: UTF-16 and UTF-32."""
    if b"\0" not in head and not head.startswith(_MARKS):
        return None
    from secretkit.scan.decode import text  # noqa: PLC0415 - few files need it

    return text.encoding(head)


class _Source:
    """Gives up to 256 MiB of a file, 4 MiB at a time; with ``encoding``, as UTF-8."""

    def __init__(self, descriptor: int, *, encoding: str | None = None) -> None:
        self.read = 0
        self._descriptor = descriptor
        made = codecs.getincrementaldecoder(encoding) if encoding else None
        self._decoder = made(errors="replace") if made else None

    def more(self) -> bytes:
        """Give the next piece; nothing is the end."""
        data = _read(self._descriptor, min(_WINDOW, LARGEST - self.read))
        self.read += len(data)
        if self._decoder is None:
            return data
        return self._decoder.decode(data, not data).encode("utf-8", errors="replace")


def _windows(source: _Source) -> Iterator[tuple[bytes, Window]]:
    """Give overlapping pieces, and the part of each that is its own."""
    tail, ahead, line, before = b"", source.more(), 1, 0
    while ahead:
        own = ahead
        ahead = source.more()
        data = tail + own + ahead[:_MARGIN]
        yield data, Window(len(tail), len(tail) + len(own), line, before)
        kept = tail + own
        cut = max(0, len(kept) - _MARGIN)
        line += kept.count(b"\n", 0, cut)
        newline = kept.rfind(b"\n", 0, cut)
        before = cut - newline - 1 if newline >= 0 else before + cut
        tail = kept[cut:]


def _read(descriptor: int, count: int) -> bytes:
    """Read ``count`` bytes, or to the end of the file."""
    data = os.read(descriptor, count)
    while data and len(data) < count:
        more = os.read(descriptor, count - len(data))
        if not more:
            break
        data += more
    return data


def _summary(result: Result, *, size: int, files: int = 1) -> Summary:
    return Summary(
        findings=result.findings,
        skipped=result.skipped,
        accepted=result.accepted,
        files=files,
        size=size,
    )
