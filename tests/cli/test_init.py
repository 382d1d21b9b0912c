"""init: what it makes, what it finishes, and what it says about what was there."""

import json
import os
import shutil
import subprocess

import pytest

from cli.conftest import BIN, KEY

_TRACE = ("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync")


def test_what_init_finds_it_keeps(home):
    assert home.run("init")[0] == 0
    code, _, err = home.run("init")
    assert code == 0
    assert b"kept the local store" in err


@pytest.mark.parametrize("left", [b"", None])
def test_a_blank_store_is_finished_and_takes_a_secret(home, left):
    """None: a database without tables, as a kill between its making and its tables leaves it."""
    home.state.mkdir(mode=0o700, parents=True)
    for folder in (home.state.parent.parent, home.state.parent, home.state):
        folder.chmod(0o700)
    store = home.state / "store.db"
    store.touch(mode=0o600)
    if left is None:
        code = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
            "c.execute('PRAGMA journal_mode=WAL'); c.close()"
        )
        subprocess.run([BIN / "python", "-c", code, store], check=True)
        assert store.stat().st_size
    code, _, err = home.run("init")
    assert code == 0, err
    assert b"created the local store" in err
    assert home.run("set", "claude", "-", given=KEY.encode())[0] == 0


def test_wherever_init_is_killed_a_second_init_finishes_it(home):
    if shutil.which("strace") is None:
        must = os.environ.get("CI") == "true"  # noqa: TID251 - tests only
        (pytest.fail if must else pytest.skip)("strace is not installed")
    for at in range(1, 13):
        shutil.rmtree(home.path / ".local", ignore_errors=True)
        killing = (*_TRACE, "-e", f"inject=fsync,fdatasync:signal=KILL:when={at}")
        subprocess.run(
            [*killing, BIN / "secretkit", "init", "-q"], env=home.environ, cwd=home.cwd, check=False
        )
        code, _, err = home.run("init")
        assert code == 0, err
        code, _, err = home.run("set", "claude", "-", given=KEY.encode())
        assert code == 0, (at, err)


@pytest.mark.parametrize("junk", [b"short", b"no database " * 400])
def test_a_file_that_is_no_store_is_neither_kept_nor_overwritten(home, junk):
    assert home.run("init")[0] == 0
    store = home.state / "store.db"
    store.write_bytes(junk)
    code, _, err = home.run("init")
    assert code != 0
    assert b"kept the local store" not in err
    assert b"hint: " in err
    assert store.read_bytes() == junk


def test_here_in_a_directory_others_can_write_writes_nothing(home):
    home.cwd.chmod(0o775)
    code, _, err = home.run("init", "--here")
    assert code != 0
    assert b"chmod go-w" in err
    assert list(home.cwd.iterdir()) == []


def test_here_says_whether_what_it_kept_is_trusted(home):
    file = home.cwd / "secretkit.toml"
    file.write_text("[leases]\n")
    code, _, err = home.run("init", "--here")
    assert code == 0
    assert f"kept {file}, not trusted\n".encode() in err
    assert json.loads(home.run("init", "--here", "--json")[1])["config_trusted"] is False
    assert home.run("config", "trust")[0] == 0
    assert f"kept {file}\n".encode() in home.run("init", "--here")[2]
    file.unlink()
    code, _, err = home.run("init", "--here")
    assert code == 0
    assert f"wrote {file}\n".encode() in err
    assert json.loads(home.run("init", "--here", "--json")[1])["config_trusted"] is True
