"""Tools that manage hooks are told apart, and given their lines without a loss."""

from __future__ import annotations

import pytest

from secretkit.errors import ConfigError
from secretkit.scan.hook.framework import frameworks, write

PRE_COMMIT = ".pre-commit-config.yaml"


def test_a_plain_repository_has_none(tmp_path):
    assert frameworks(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "name"),
    [(PRE_COMMIT, "pre-commit"), ("lefthook.yml", "lefthook"), (".husky/pre-commit", "husky")],
)
def test_each_is_known_by_its_file(tmp_path, file, name):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("")
    [found] = frameworks(tmp_path)
    assert (found.name, found.file, found.present) == (name, tmp_path / file, False)
    assert "secretkit hook run" in found.lines


@pytest.mark.parametrize("indent", ["", "  "])
def test_lines_join_the_repositories_of_pre_commit_once(tmp_path, indent):
    file = tmp_path / PRE_COMMIT
    before = f"# mine\nrepos:\n{indent}- repo: https://example.org/x\n{indent}  rev: v1"
    file.write_text(before)
    for _ in range(2):
        write(frameworks(tmp_path)[0])
    after = file.read_text()
    assert after.startswith(f"{before}\n{indent}- repo: local\n{indent}  hooks:\n")
    assert after.count("secretkit hook run") == 1
    assert frameworks(tmp_path)[0].present


@pytest.mark.parametrize("text", ["repos: []\n", "repos:\n- repo: x\nexclude: y\n", ""])
def test_where_it_is_not_clear_the_file_stays_as_it_is(tmp_path, text):
    file = tmp_path / PRE_COMMIT
    file.write_text(text)
    with pytest.raises(ConfigError, match="not clear"):
        write(frameworks(tmp_path)[0])
    assert file.read_text() == text


def test_our_own_hook_id_counts_as_present(tmp_path):
    (tmp_path / PRE_COMMIT).write_text("repos:\n- repo: x\n  hooks:\n  - id: secretkit\n")
    assert frameworks(tmp_path)[0].present


def test_lefthook_gets_a_table_of_its_own_or_is_left_alone(tmp_path):
    file = tmp_path / "lefthook.yml"
    file.write_text("pre-push:\n  commands: {}\n")
    write(frameworks(tmp_path)[0])
    assert file.read_text().endswith("secretkit:\n      run: secretkit hook run\n")
    file.write_text("pre-commit:\n  commands: {}\n")
    with pytest.raises(ConfigError, match="not clear"):
        write(frameworks(tmp_path)[0])


def test_husky_gets_one_line_in_its_script(tmp_path):
    (tmp_path / ".husky").mkdir()
    write(frameworks(tmp_path)[0])
    file = tmp_path / ".husky" / "pre-commit"
    assert file.read_text() == "secretkit hook run\n"
    assert file.stat().st_mode & 0o111
