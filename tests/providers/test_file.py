"""The file provider: what is not a file, what is replaced underneath, and what leaves its root."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderTimeoutError,
    RefError,
    SecretError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.providers.file import FileProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

SECOND = timedelta(seconds=1)
ROOT = Path(__file__).parents[2]
VALUE = "canary-" + "f" * 30


def provider(place: Path | str = "", environ: dict[str, str] | None = None, **options: object):
    context = provider_context(config_dir=str(place), environ=environ)
    return FileProvider.open(options, context)


def fetch(path: object, place: Path | str = "", field: str | None = None, **options: object):
    return provider(place, **options).fetch(SecretRef("file", str(path), field), timeout=SECOND)


def test_a_line_break_is_kept_unless_one_is_asked_off(tmp_path: Path) -> None:
    for written, stripped in (
        ("x\n", "x"),
        ("x\n\n", "x\n"),
        ("x\r\n", "x"),
        ("x\r", "x\r"),
        ("x ", "x "),
        ("x", "x"),
    ):
        (tmp_path / "key").write_bytes(written.encode())
        assert fetch("key", tmp_path).secret.reveal() == written
        assert fetch("key", tmp_path, newline="strip-one").secret.reveal() == stripped


def test_a_byte_order_mark_is_not_repaired(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbfx")
    assert fetch("key", tmp_path).secret.reveal() == "\ufeffx"


def test_an_empty_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(SecretError, match="the file is empty"):
        fetch("key", tmp_path)
    (tmp_path / "key").write_text("\n")
    with pytest.raises(SecretError, match="the value is empty"):
        fetch("key", tmp_path, newline="strip-one")


@pytest.mark.parametrize("data", [b"\xff\xfe" + VALUE.encode(), b"\0" + VALUE.encode()])
def test_what_is_not_text_is_refused_without_showing_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(SecretError, match="file:key") as caught:
        fetch("key", tmp_path)
    assert_no_trace(caught.value, VALUE)


def test_a_file_over_the_cap_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ProviderError, match="larger than 1048576 bytes"):
        fetch("huge", tmp_path)
    (tmp_path / "huge").unlink()  # sparse; the leak guard would read it to its end
    (tmp_path / "full").write_bytes(b"x" * (1 << 20))
    assert fetch("full", tmp_path).secret.reveal() == "x" * (1 << 20)


def test_directories_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening, tempfile.TemporaryDirectory() as short:
        listening.bind(f"{short}/s")
        for path, kind in (
            (tmp_path, "a directory"),
            (tmp_path / "pipe", "a named pipe"),
            (tmp_path / "to_zero", "a device"),
            (f"{short}/s", "a socket"),
        ):
            with pytest.raises(ProviderError, match=kind) as caught:
                fetch(path)
            assert type(caught.value) is ProviderError


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in ("absent", "plain/inner", "dangling"):
        with pytest.raises(SecretNotFoundError) as caught:
            fetch(path, tmp_path)
        assert str(tmp_path) in caught.value.hint
    with pytest.raises(SecretNotFoundError, match="link to nothing"):
        provider(tmp_path).version(SecretRef("file", "dangling"), timeout=SECOND)


def test_a_loop_of_links_and_an_endless_name_are_errors_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in ("a", "n" * 300):
        with pytest.raises(ProviderError):
            fetch(path, tmp_path)


def test_a_file_of_somebody_else_is_denied() -> None:
    """Root may read everything, so a child without its rights looks."""
    program = (
        "import os\nimport sys\nfrom datetime import timedelta\n"
        "from secretkit.core.ref import SecretRef\n"
        "from secretkit.errors import AccessDeniedError\n"
        "from secretkit.providers.file import FileProvider\n"
        "from secretkit.testing.context import provider_context\n"
        "if os.geteuid() == 0:\n    os.setuid(65534)\n"
        "try:\n"
        "    FileProvider.open({}, provider_context()).fetch(SecretRef('file', sys.argv[1]),"
        " timeout=timedelta(seconds=1))\n"
        "except AccessDeniedError as error:\n"
        "    print(type(error).__name__, error.hint.split(':')[0])\n"
    )
    with tempfile.TemporaryDirectory() as name:
        key = Path(name) / "key"
        key.write_text(VALUE)
        key.chmod(0)
        Path(name).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", program, str(key)],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
        )
    assert done.stdout == "AccessDeniedError look at the owner and mode\n", done.stderr


def test_the_version_changes_with_the_file_and_only_then(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one")
    ref = SecretRef("file", str(key))
    before = provider().version(ref, timeout=SECOND)
    assert provider().version(ref, timeout=SECOND) == before
    fresh = tmp_path / "fresh"
    fresh.write_text("two")
    fresh.replace(key)
    after = provider().fetch(ref, timeout=SECOND).version
    assert after != before
    assert after == provider().version(ref, timeout=SECOND)


def test_a_write_in_the_middle_of_a_read_is_noticed_and_read_again(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("old-" + "o" * 100)
    writes = ["new-value", "newer-value"]

    def pread(fd: int, size: int, offset: int) -> bytes:
        part = os.pread(fd, min(size, 10), offset)
        if writes and offset:
            key.write_text(writes.pop())
        return part

    assert torn(key, pread, SECOND) == "new-value"
    assert writes == []


def test_a_file_that_never_holds_still_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("x")

    def pread(fd: int, size: int, offset: int) -> bytes:
        with key.open("a") as file:
            file.write("x")
        return os.pread(fd, size, offset)

    with pytest.raises(ProviderTimeoutError, match="changes each time"):
        torn(key, pread, timedelta(milliseconds=50))


def test_a_disk_that_fails_midway_is_an_error_without_the_part_that_was_read(
    tmp_path: Path,
) -> None:
    key = tmp_path / "key"
    key.write_text(VALUE * 2)

    def pread(fd: int, size: int, offset: int) -> bytes:
        if offset:
            raise OSError(5, "Input/output error")
        return os.pread(fd, len(VALUE), offset)

    with pytest.raises(ProviderError, match="Input/output error") as caught:
        torn(key, pread, SECOND)
    assert_no_trace(caught.value, VALUE)


def torn(key: Path, pread, timeout: timedelta) -> str:
    from secretkit.broker.clock import SystemClock
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.plain_file import PlainFile

    file = PlainFile(path=str(key), ref=SecretRef("file", str(key)), pread=pread)
    found = file.read(deadline=Deadline(timeout, clock=SystemClock()))
    assert found.secret is not None
    return found.secret.reveal()


def test_a_kubernetes_volume_may_be_swapped_at_any_moment(tmp_path: Path) -> None:
    """The kubelet's own order: new directory, new link over ..data, old directory removed."""

    def publish(number: int) -> None:
        fresh = tmp_path / f"..{number}"
        fresh.mkdir()
        (fresh / "key").write_text(f"value-{number}")
        (tmp_path / "..tmp").symlink_to(fresh.name)
        (tmp_path / "..tmp").replace(tmp_path / "..data")
        old = tmp_path / f"..{number - 1}"
        if old.exists():
            (old / "key").unlink()
            old.rmdir()

    publish(0)
    (tmp_path / "key").symlink_to("..data/key")
    stop = threading.Event()
    seen: set[str] = set()
    errors: list[SecretkitError] = []

    def read() -> None:
        reading = provider(root=str(tmp_path))
        while not stop.is_set():
            try:
                found = reading.fetch(SecretRef("file", "key"), timeout=timedelta(seconds=10))
            except SecretkitError as error:
                errors.append(error)
                return
            seen.add(found.secret.reveal())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        publish(number)
    stop.set()
    reader.join(20)
    assert errors == []
    assert seen <= {f"value-{number}" for number in range(200)}
    assert fetch("key", root=str(tmp_path)).secret.reveal() == "value-199"


def test_a_path_that_leaves_the_root_is_denied_also_by_a_link(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_text(VALUE)
    (root / "link").symlink_to("../outside")
    (root / "absolute").symlink_to(outside)
    (root / "dir").symlink_to("..")
    (tmp_path / "root-twin").mkdir()
    (tmp_path / "root-twin" / "key").write_text(VALUE)
    for path in ("../outside", "link", "absolute", "dir/outside", outside, "../root-twin/key"):
        with pytest.raises(AccessDeniedError, match="outside") as caught:
            fetch(path, root=str(root))
        assert_no_trace(caught.value, VALUE)
        with pytest.raises(AccessDeniedError):
            provider(root=str(root)).version(SecretRef("file", str(path)), timeout=SECOND)


def test_whether_an_outside_file_exists_is_not_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (tmp_path / "there").write_text(VALUE)
    (tmp_path / "folder").mkdir()
    answers = set()
    for name in ("there", "absent", "folder", "there/below", "root/../absent"):
        for path in (f"../{name}", f"inner/../../{name}", f"{tmp_path}/{name}"):
            for ask in (provider(root=str(root)).fetch, provider(root=str(root)).version):
                ref = SecretRef("file", path)
                with pytest.raises(AccessDeniedError) as caught:
                    ask(ref, timeout=SECOND)
                answers.add((str(caught.value).replace(str(ref), "REF"), caught.value.hint))
    assert len(answers) == 1


def test_a_root_beneath_a_link_may_be_named_either_way(tmp_path: Path) -> None:
    (tmp_path / "real" / "root").mkdir(parents=True)
    (tmp_path / "real" / "root" / "key").write_text("x")
    (tmp_path / "alias").symlink_to("real")
    root = str(tmp_path / "alias" / "root")
    for path in ("key", f"{root}/key", tmp_path / "real" / "root" / "key"):
        assert fetch(path, root=root).secret.reveal() == "x"


def test_links_and_dots_within_the_root_are_fine(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "key").write_text("x")
    (root / "inner" / "link").symlink_to("../key")
    (tmp_path / "alias").symlink_to(root)
    for path in ("key", "inner/../key", "inner/link", root / "key"):
        assert fetch(path, root=str(root)).secret.reveal() == "x"
    assert fetch("key", root=str(tmp_path / "alias")).secret.reveal() == "x"
    assert fetch("key", tmp_path, root="root").secret.reveal() == "x"


def test_home_and_relative_paths(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    at_home = provider(environ={"HOME": str(tmp_path)})
    assert at_home.fetch(SecretRef("file", "~/key"), timeout=SECOND).secret.reveal() == "x"
    assert fetch("key", tmp_path).secret.reveal() == "x"
    for path in ("~/key", "~root/key", "~", "key"):
        with pytest.raises(RefError):
            fetch(path)


def test_a_field_is_read_from_json_and_a_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "doc").write_text('{"a": "b"}')
    assert fetch("doc", tmp_path, field="a").secret.reveal() == "b"
    with pytest.raises(RefError):
        provider(tmp_path).fetch(SecretRef("file", "doc", None, "3"), timeout=SECOND)


def test_nothing_is_read_when_the_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    with pytest.raises(ProviderTimeoutError):
        provider(tmp_path).fetch(SecretRef("file", "key"), timeout=timedelta())


@pytest.mark.parametrize(
    "options", [{"rot": "/x"}, {"root": ""}, {"root": 1}, {"root": "~/x"}, {"newline": "strip"}]
)
def test_malformed_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        FileProvider.open(options, provider_context())
    assert caught.value.hint
