"""Hostile packs: whatever is in them is scanned or reported, in bounded memory, without a crash."""

from __future__ import annotations

import hashlib
import random  # noqa: TID251 - seeded, so that a failure can be repeated
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from scan.history import Repository, history, secrets_of, token

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rng():
    return random.Random(5)  # noqa: S311 - no secrets of anybody


@pytest.fixture
def repository(tmp_path, rng):
    made = Repository(tmp_path / "repository")
    lines = [f"line {number} {rng.random()}" for number in range(100)]
    for number in range(10):
        lines[number * 10] = token(rng)
        made.commit(a__txt="\n".join(lines))
    made.pack()
    return made


def pack_of(repository, suffix=".pack"):
    (found,) = (repository.folder / ".git" / "objects" / "pack").glob(f"*{suffix}")
    found.chmod(0o644)
    return found


def test_a_flipped_byte_anywhere_is_no_crash_and_is_seen(repository, rng):
    pack = pack_of(repository)
    content, whole = pack.read_bytes(), secrets_of(repository.scan())
    for _ in range(60):
        at = rng.randrange(len(content) - 20)
        pack.write_bytes(
            content[:at] + bytes((content[at] ^ 1 << rng.randrange(8),)) + content[at + 1 :]
        )
        summary = repository.scan()
        assert secrets_of(summary) == whole or summary.skipped, at


def test_a_damaged_index_is_no_crash_and_hides_nothing_from_us(repository, rng):
    index = pack_of(repository, ".idx")
    content, whole = index.read_bytes(), secrets_of(repository.scan())
    for _ in range(60):
        at = rng.randrange(len(content) - 40)
        index.write_bytes(content[:at] + bytes((content[at] ^ 255,)) + content[at + 1 :])
        try:
            summary = repository.scan()
        except Exception as error:  # noqa: BLE001 - only our own may come
            assert type(error).__name__ == "ScanError", at  # noqa: PT017 - one of many
        else:
            assert secrets_of(summary) == whole or summary.skipped or summary.blobs < 10, at


@pytest.mark.parametrize("keep", [0, 5, 30, 500, -30])
def test_a_pack_that_is_cut_off_is_reported(repository, keep):
    pack = pack_of(repository)
    pack.write_bytes(pack.read_bytes()[:keep])
    summary = repository.scan()
    assert summary.skipped


def written(repository, entries):
    """Write a pack of (kind, size, rest) with an index that git does not check."""
    parts, offsets = [b"PACK" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big")], []
    for kind, length, rest in entries:
        offsets.append(sum(map(len, parts)))
        first, size = kind << 4 | length & 15, length >> 4
        head = bytearray()
        while size:
            head.append(first | 0x80)
            first, size = size & 0x7F, size >> 7
        head.append(first)
        parts.append(bytes(head) + rest)
    body = b"".join(parts)
    body += hashlib.sha1(body, usedforsecurity=False).digest()
    names = [
        hashlib.sha1(bytes((number,)), usedforsecurity=False).digest()
        for number in range(len(entries))
    ]
    table = sorted(zip(names, offsets, strict=True))
    index = b"\377tOc" + (2).to_bytes(4, "big")
    index += b"".join(
        sum(name[0] <= value for name in names).to_bytes(4, "big") for value in range(256)
    )
    index += b"".join(name for name, _ in table) + bytes(4 * len(table))
    index += b"".join(offset.to_bytes(4, "big") for _, offset in table) + body[-20:]
    index += hashlib.sha1(index, usedforsecurity=False).digest()
    folder = repository.folder / ".git" / "objects" / "pack"
    (folder / "pack-hostile.pack").write_bytes(body)
    (folder / "pack-hostile.idx").write_bytes(index)
    return names


def far(distance):
    """Give a distance as an offset delta spells it."""
    spelled = [distance & 0x7F]
    distance >>= 7
    while distance:
        distance -= 1
        spelled.insert(0, 0x80 | distance & 0x7F)
        distance >>= 7
    return bytes(spelled)


def number(value):
    spelled = bytearray()
    while value > 0x7F:
        spelled.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*spelled, value))


def test_bombs_are_reported_within_300_mib(tmp_path):
    """Sizes that lie, a large blob, a delta that multiplies, and deltas of each other."""
    repository = Repository(tmp_path)
    repository.commit(a__txt="x")
    small = zlib.compress(bytes(60_000))
    many = b"\x80\x80\x04" + b""  # a delta of nothing
    delta = number(60_000) + number(15 << 20) + (b"\xb0\x60\xea" * ((15 << 20) // 60_000 + 1))
    bomb = zlib.compressobj(9)
    large = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(40)) + bomb.flush()
    names = [hashlib.sha1(bytes((one,)), usedforsecurity=False).digest() for one in range(9)]
    entries = [
        (3, 60_000, small),
        (6, len(delta), far(len(small) + 3) + zlib.compress(delta)),
        (3, 1 << 40, zlib.compress(b"x")),
        (3, 10, large),
        (3, 40 << 20, large),
        (7, 10, names[6] + zlib.compress(many)),
        (7, 10, names[5] + zlib.compress(many)),
        (7, 10, names[7] + zlib.compress(many)),
        (5, 10, zlib.compress(b"x")),
    ]
    assert written(repository, entries) == names
    code = (
        "import re, sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/tests']\n"
        "from pathlib import Path; from scan.history import history\n"
        "found = history(Path(sys.argv[2])).scan()\n"
        # Not ru_maxrss, which counts the process that started this one too.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(len(found.skipped), int(peak) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), str(repository.folder)],
        capture_output=True,
        check=True,
        timeout=100,
    )
    skipped, peak = map(int, done.stdout.split())
    assert skipped >= 6
    assert peak < 300


def test_a_chain_of_thousands_of_deltas_is_followed(tmp_path, rng):
    repository = Repository(tmp_path)
    lines = [str(rng.random()) for _ in range(20)]
    stream = []
    for one in range(600):
        lines[one % 20] = str(rng.random())
        content = "\n".join([*lines, token(rng)]).encode()
        stream.append(
            b"commit refs/heads/main\ncommitter a <a@b.c> %d +0000\ndata 1\nx\n"
            b"M 100644 inline a\ndata %d\n%s\n" % (1_700_000_000 + one, len(content), content)
        )
    repository.git("fast-import", "--quiet", "--depth=4000", given=b"".join(stream))
    summary = repository.scan()
    assert (summary.blobs, len(summary.findings), summary.skipped) == (600, 600, ())


def test_a_fifo_in_place_of_a_pack_does_not_hang(repository):
    import os

    pack = pack_of(repository)
    pack.unlink()
    os.mkfifo(pack)
    loose = repository.folder / ".git" / "objects" / "ab"
    loose.mkdir(exist_ok=True)
    os.mkfifo(loose / ("c" * 38))
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/tests']\n"
        "from pathlib import Path; from scan.history import Repository, history\n"
        "print(len(history(Path(sys.argv[2])).scan().skipped))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), str(repository.folder)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode or int(done.stdout)


def test_a_worker_that_dies_fails_the_scan(repository):
    import os
    import signal

    from secretkit.errors import ScanError

    one = history(repository.folder, workers=2)
    parent = os.getpid()
    whole = one._scanner.nominate

    class Dying:
        def __getattr__(self, name):
            return getattr(scanner, name)

        def nominate(self, data):
            if os.getpid() != parent:
                os.kill(os.getpid(), signal.SIGKILL)
            return whole(data)

    scanner = one._scanner
    one._scanner = Dying()
    for _ in range(3):
        repository.commit(**{f"b{_}__txt": "x" * _})
    with pytest.raises(ScanError, match="ended early"):
        one.scan()


def test_a_hostile_configuration_runs_nothing(repository, tmp_path):
    marker = tmp_path / "ran"
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "diff.external"):
        repository.git("config", name, str(program))
    for name in (
        "filter.x.clean",
        "filter.x.smudge",
        "diff.x.textconv",
        "uploadpack.packObjectsHook",
    ):
        repository.git("config", name, str(program))
    repository.git("config", "extensions.partialClone", "origin")
    repository.git("config", "remote.origin.url", f"ext::{program}")
    (repository.folder / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    repository.scan()
    repository.scan("main")
    assert not marker.exists()
