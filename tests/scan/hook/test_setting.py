"""That there are settings is said without reading them, and never missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from secretkit.config.load import find_and_load
from secretkit.config.place import config_dir, state_dir
from secretkit.scan.hook.setting import command, has_settings


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A home and a work tree, which is the current directory."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return {"HOME": str(tmp_path)}


def put(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(text)
    path.chmod(0o600)


def test_where_there_is_nothing_there_are_none(world):
    assert not has_settings(world)


@pytest.mark.parametrize("name", ["SECRETKIT_CONFIG", "SECRETKIT_LEDGER_URL"])
def test_a_variable_may_name_some(world, name):
    assert has_settings(world | {name: ""})


@pytest.mark.parametrize("variable", [None, "XDG_CONFIG_HOME"])
@pytest.mark.parametrize(
    "text",
    ['[scan]\nexclude = ["x"]\n', 'scan.exclude = ["x"]\n', '["sc\\u0061n"]\nexclude = ["x"]\n'],
)
def test_what_the_configuration_reads_is_noticed(world, tmp_path, variable, text):
    if variable:
        world[variable] = str(tmp_path / "elsewhere")
    put(config_dir(world) / "secretkit.toml", text)
    assert find_and_load(None, environ=world, cwd=tmp_path / "work").scan
    assert has_settings(world)


def test_a_configuration_that_says_nothing_of_scans_costs_nothing(world, tmp_path):
    put(config_dir(world) / "secretkit.toml", '[leases]\nfetch_timeout = "5s"\n')
    assert not find_and_load(None, environ=world, cwd=tmp_path / "work").scan
    assert not has_settings(world)


@pytest.mark.parametrize("variable", [None, "XDG_STATE_HOME"])
def test_a_ledger_is_noticed_where_the_configuration_puts_it(world, tmp_path, variable):
    if variable:
        world[variable] = str(tmp_path / "elsewhere")
    url = find_and_load(None, environ=world, cwd=tmp_path).ledger_url
    assert url == f"sqlite:///{state_dir(world) / 'ledger.db'}"
    put(state_dir(world) / "ledger.db")
    assert has_settings(world)


def test_a_project_s_own_file_counts_a_pyproject_only_where_one_was_trusted(world, tmp_path):
    put(tmp_path / "work" / "pyproject.toml", "[tool.secretkit.scan]\n")
    assert not has_settings(world)
    put(state_dir(world) / "trusted.json", "{}")
    assert has_settings(world)
    (tmp_path / "work" / "pyproject.toml").unlink()
    assert not has_settings(world)
    (tmp_path / "work" / "secretkit.toml").symlink_to("nowhere")
    assert has_settings(world)


def test_a_file_that_cannot_be_read_counts(world):
    folder = config_dir(world) / "secretkit.toml"
    folder.mkdir(parents=True)
    assert has_settings(world)


def test_on_macos_it_looks_where_the_files_are_there(world, tmp_path):
    put(tmp_path / "Library/Application Support/secretkit/ledger.db")
    assert not has_settings(world, platform="linux")
    assert has_settings(world, platform="darwin")


def test_without_a_home_the_account_s_own_counts(world):
    del world["HOME"]
    assert has_settings(world) in {True, False}, "it raises nothing"


def test_the_command_names_stage_git_and_words():
    words = command("update", ["ref", "-x"], program="/git", root="/root")
    expected = ["hook", "run", "--stage", "update", "--git", "/git", "--", "ref", "-x"]
    assert words[-len(expected) :] == expected
    assert Path(words[0]).is_absolute()
