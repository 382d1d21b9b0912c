"""Archive: the members of zip and tar archives, and so of jar, whl, docx and their kind."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from secretkit.scan.decode.budget import Nested
from secretkit.scan.finding import Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretkit.scan.decode.budget import Budget

__all__ = ["is_tar", "is_zip", "tar", "zipped"]

_ENCRYPTED: Final = 0x1
_MAGIC_AT: Final = 257
_BROKEN: Final = "is damaged: what it holds was not scanned"
_FAULTS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,  # also bz2's errors, and what tarfile makes of a bad offset
    EOFError,
    NotImplementedError,  # a compression method that zipfile does not know
    RuntimeError,
    ValueError,
    KeyError,
    UnicodeError,
    OverflowError,
)


def is_zip(data: bytes) -> bool:
    """Say whether ``data`` is a zip archive, from its first bytes."""
    return data.startswith(b"PK\3\4")


def is_tar(data: bytes) -> bool:
    """Say whether ``data`` is a tar archive of the POSIX or GNU kind, from its magic."""
    return data[_MAGIC_AT : _MAGIC_AT + 5] == b"ustar"


def zipped(data: bytes, *, path: str, budget: Budget, skipped: list[Skipped]) -> Iterator[Nested]:
    """Give the members of a zip archive; what cannot be read joins ``skipped``."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                yield from _member(archive, member, path=path, budget=budget, skipped=skipped)
    except _FAULTS:
        skipped.append(Skipped(path=path, reason=_BROKEN))


def _member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    *,
    path: str,
    budget: Budget,
    skipped: list[Skipped],
) -> Iterator[Nested]:
    name = f"!{member.filename}"
    budget.piece(path=path, skipped=skipped)
    if member.is_dir():
        return
    if member.flag_bits & _ENCRYPTED:
        skipped.append(Skipped(path=path + name, reason="is encrypted"))
        return
    try:
        with archive.open(member) as stream:
            content = budget.read(stream.read, path=path + name, skipped=skipped)
    except _FAULTS:
        skipped.append(Skipped(path=path + name, reason=_BROKEN))
        return
    yield Nested(data=content, name=name)


def tar(data: bytes, *, path: str, budget: Budget, skipped: list[Skipped]) -> Iterator[Nested]:
    """Give the regular files of a tar archive that is not compressed."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                budget.piece(path=path, skipped=skipped)
                if not member.isreg():
                    continue
                name = f"!{member.name}"
                stream = archive.extractfile(member)
                if stream is not None:
                    content = budget.read(stream.read, path=path + name, skipped=skipped)
                    yield Nested(data=content, name=name)
    except (tarfile.TarError, *_FAULTS):
        skipped.append(Skipped(path=path, reason=_BROKEN))
