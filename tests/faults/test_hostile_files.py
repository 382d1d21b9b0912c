"""Hostile files: bounded in time and memory, nothing outside is read, and what is left is said."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import zipfile

import pytest

from faults.command import BIN, ENVIRON, scan
from scan.repository import key

KEY = key("hostile")
MOST = 300  # MiB in any process
# With it, the sizes that a user might meet, which take minutes.
FULL = "SECRETKIT_FULL" in os.environ  # noqa: TID251 - an option of the suite, not of ours
MIB = 1 << 20
pytestmark = pytest.mark.timeout(900 if FULL else 120)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    (folder / "empty").mkdir()
    scan(folder / "empty", home=folder)  # the rules are compiled once
    return folder


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "work"
    made.mkdir()
    return made


def bounded(done, *, mib):
    """Hold it to 2 s of processor time a MiB, and to the memory of a scan."""
    assert done.memory < MOST, done.memory
    assert done.cpu < 3 + 2 * mib, done.cpu
    return done


def noise(size):
    return hashlib.shake_256(b"noise").digest(size)


def test_one_line_of_any_length_is_scanned_to_the_limit_and_the_rest_is_reported(home, folder):
    line = (noise(3 * MIB).hex() + " ").encode()
    size = 500 * MIB if FULL else 262 * MIB
    with (folder / "line").open("wb") as file:
        file.write(KEY.encode() + b" ")
        if not FULL:
            file.truncate(256 * MIB)  # zeros, as in the gaps of a sparse file
            file.seek(256 * MIB)
        while file.tell() < size:
            file.write(line)
    done = bounded(scan(folder, home=home), mib=256 if FULL else 24)
    assert [(one["line"], one["column"]) for one in done.findings] == [(1, 1)]
    assert "only the first 256 MiB" in done.skipped[0]["reason"]
    assert done.code == 1


def test_a_sparse_file_of_a_gibibyte_is_reported_as_not_scanned_in_full(home, folder):
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    done = bounded(scan(folder, home=home), mib=4)
    assert [one["path"] for one in done.skipped] == ["sparse"]
    assert done.code == 3


def _zipped(*members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def _forty_two(depth):
    """Give archives of 16 equal archives each, the innermost of which hold 4 MiB of zeros."""
    inner = _zipped(("0", bytes(4 * MIB)))
    for _ in range(depth):
        inner = _zipped(*((f"lib {number}.zip", inner) for number in range(16)))
    return inner


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_an_archive_of_archives_is_opened_as_far_as_is_allowed_and_reported(home, folder, depth):
    (folder / "42.zip").write_bytes(_forty_two(depth))
    done = bounded(scan(folder, home=home), mib=4)
    assert done.code == 3, done.report
    assert done.skipped[0]["path"].startswith("42.zip")


def _gzipped(size):
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb") as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return made.getvalue()


@pytest.mark.parametrize("name", ["a.gz", "a.zip", "a.tar.gz", "twice.gz"])
def test_a_stream_that_unpacks_a_thousandfold_is_cut_and_reported(home, folder, name):
    content = _gzipped(1 << 30 if FULL else 160 * MIB)
    if name == "a.zip":
        content = _zipped(("zeros", bytes(160 * MIB)))
    if name == "twice.gz":
        content = gzip.compress(content)
    (folder / name).write_bytes(content)
    (folder / "b").write_text(KEY)
    done = bounded(scan(folder, home=home), mib=4)
    assert [one["path"] for one in done.findings] == ["b"]
    # A kibibyte that unpacks to a gibibyte may use up its time, of a kibibyte, before its space.
    slow = ("took too long",) if FULL and name == "twice.gz" else ()
    reason = done.skipped[0]["reason"]
    assert any(said in reason for said in ("more than was allowed", *slow)), reason
    assert done.code == 1


def test_more_findings_than_anybody_reads_are_counted_as_not_listed(home, folder):
    count = 300_000 if FULL else 60_000
    lines = (key(str(number)) for number in range(count))
    (folder / "many").write_text("\n".join(lines))
    done = bounded(scan(folder, home=home), mib=count * 110 // MIB)
    assert 500 <= len(done.findings) < 8_000
    assert "findings" in done.skipped[0]["reason"]
    assert done.code == 1


@pytest.mark.parametrize("form", ["one line", "lines"])
def test_much_base64_is_bounded(home, folder, form):
    size = 64 * MIB if FULL else 12 * MIB  # 4 MiB at a time, each as slow as the others
    text = base64.b64encode(noise(3 * MIB // 4))
    if form == "lines":
        text = b"\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + b"\n"
    with (folder / "big").open("wb") as file:
        while file.tell() < size:
            file.write(text)
        file.write(b"\n" + KEY.encode() + b"\n")
    done = bounded(scan(folder, home=home), mib=size // MIB)
    assert done.code == 1
    assert [one["rule"] for one in done.findings] == ["anthropic-api-key"]


def test_a_tree_of_any_depth_and_width_is_walked(home, folder):
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d" * 3, dir_fd=at)
        inner = os.open("d" * 3, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    deep = os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=at)
    os.write(deep, KEY.encode())
    os.close(deep)
    os.close(at)
    try:
        done = scan(folder, home=home)
    finally:  # what cleans up behind a test goes no deeper than Python's stack
        subprocess.run(["rm", "-rf", folder], check=True)
    assert bounded(done, mib=4).code in {1, 3}, done.err
    assert done.findings or done.skipped


def _strange(folder):
    """Put what is not a file into ``folder``, and give the name of a file that is outside of it."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text(KEY)
    for name, target in {
        "zero": "/dev/zero",
        "random": "/dev/urandom",
        "shadow": "../../../../../../../../etc/shadow",
        "loop": "loop",
        "up": "..",
        "self": ".",
        "out": "../outside/secret",
        "folder": "../outside",
        "absolute": str(outside / "secret"),
        "memory": "/proc/self/mem",
    }.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo")
    os.mknod(folder / "socket", 0o600 | stat.S_IFSOCK)
    if os.geteuid() == 0:
        os.mknod(folder / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero itself
    (folder / "plain").write_text("nothing\n")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("git", [False, True])
def test_links_pipes_and_devices_lead_nowhere(home, folder, git):
    _strange(folder)
    if git:
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True, env=ENVIRON)
        subprocess.run(["git", "add", "plain", "out", "shadow", "zero"], cwd=folder, check=True)
    done = bounded(scan(folder, home=home), mib=0)
    assert done.cpu < 2
    assert done.code == 0, done.out
    trace = folder.parent / "trace"
    calls = "trace=open,openat,openat2,read,pread64,readv"
    traced = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", calls, "-o", trace, BIN, "scan"]
    environ = {**ENVIRON, "HOME": str(home)}
    subprocess.run(traced, cwd=folder, env=environ, check=True, capture_output=True)
    lines = [line for line in trace.read_text().splitlines() if " = -1 " not in line]
    opened = [line.rpartition(" = ")[2] for line in lines if " open" in line]
    assert any(str(folder / "plain") in line for line in opened)
    for name in ("outside", "/etc/shadow", "/dev/zero", "urandom", "/proc/self/mem"):
        assert not [line for line in opened if name in line], name
    for name in ("fifo", "device"):  # opened to be looked at, which blocks and reads nothing
        assert not [line for line in lines if " read" in line and f"/{name}>" in line], name


def test_a_link_given_by_name_is_not_followed(home, folder):
    _strange(folder)
    for name in ("out", "zero", "fifo", "loop", "folder"):
        done = scan(folder, name, home=home)
        assert done.code in {0, 3}, (name, done.err)
        assert done.findings == []
        assert done.cpu < 2


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("words", [(), ("--history",), ("--staged",)])
def test_no_scan_opens_a_socket(home, folder, words):
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True, env=ENVIRON)
    (folder / "a").write_text(KEY)
    subprocess.run(["git", "add", "a"], cwd=folder, check=True, env=ENVIRON)
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *identity, "commit", "-qm", "x"], cwd=folder, check=True, env=ENVIRON)
    (folder / "a").write_text(KEY + "\n" + key("other"))
    subprocess.run(["git", "add", "a"], cwd=folder, check=True, env=ENVIRON)
    trace = folder.parent / "trace"
    command = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=network", BIN, "scan", *words]
    environ = {**ENVIRON, "HOME": str(home)}
    done = subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True)
    assert done.returncode == 1, done.stderr
    assert "socket(" not in trace.read_text()


@pytest.mark.parametrize("name", ["a.tar", "a.gz", "plain"])
def test_more_places_than_can_be_looked_into_are_reported(home, folder, name):
    dense = b'ab"+"' * (12 * MIB // 5)
    entry = tarfile.TarInfo("dense")
    entry.size = len(dense)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(dense))
    content = {"a.tar": made.getvalue(), "a.gz": gzip.compress(dense), "plain": dense}[name]
    (folder / name).write_bytes(content)
    done = bounded(scan(folder, home=home), mib=4)
    assert "too many places" in done.skipped[0]["reason"]
    assert done.code == 3
