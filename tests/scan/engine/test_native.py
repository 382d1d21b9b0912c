from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drawn import drawn
from secretkit.scan.engine import hyper, native
from secretkit.scan.rule import built_in_rules

ROOT = Path(__file__).parents[3]
RULES = [rule for rule in built_in_rules() if rule.issuer == "anthropic"]
KEY = b"sk-ant" + b"-api03-" + drawn("engine", length=95).encode()


@pytest.fixture(scope="module")
def module():
    loaded = native.load(native.find(sys.path) or "")
    assert loaded is not None
    return loaded


def test_a_database_gives_a_scan_that_calls_back_for_each_match(module):
    scan = native.open_database(module, hyper.compiled(module, RULES))
    assert scan is not None
    seen = []
    scan(KEY, lambda rule, start, end, flags, context: seen.append((RULES[rule].id, start, end)))
    assert ("anthropic-api-key", 0, 53) in seen


def test_a_damaged_database_is_refused(module):
    database = hyper.compiled(module, RULES)
    for at in range(0, len(database), 997):
        bad = database[:at] + bytes((database[at] ^ 0x10,)) + database[at + 1 :]
        assert native.open_database(module, bad) is None, at
    for size in (0, 1, 30, len(database) // 2, len(database) - 1):
        assert native.open_database(module, database[:size]) is None, size


def test_the_extension_is_looked_for_in_absolute_directories_only(tmp_path):
    real = native.find(sys.path)
    assert real is not None
    name = Path(real).name
    (tmp_path / "hyperscan").mkdir()
    (tmp_path / "hyperscan" / name).touch()
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert native.find(["", ".", "hyperscan"]) is None
    finally:
        os.chdir(here)
    assert native.find([str(tmp_path)]) == str(tmp_path / "hyperscan" / name)


def test_what_is_no_extension_does_not_load(tmp_path):
    (tmp_path / "bad.so").write_bytes(b"no such thing")
    code = (
        "import sys; from secretkit.scan.engine import native; "
        f"sys.exit(native.load({str(tmp_path / 'bad.so')!r}) is not None)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == 0


def test_the_way_of_the_hook_loads_nothing_heavy_and_shares_the_extension():
    code = """
import sys
bare = sys.modules["secretkit"] = type(sys)("secretkit")
bare.__path__ = [sys.argv[1] + "/secretkit"]
sys.path.append(sys.argv[1])
from secretkit.scan.engine import cache, native, pack
module = native.load(native.find(sys.argv[2:]))
assert module is not None
heavy = {"re", "typing", "pathlib", "json", "hashlib", "functools", "contextlib", "tomllib"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
sys.path[:0] = sys.argv[2:]
import hyperscan
assert hyperscan.Database is module.Database
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT), *sys.path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
