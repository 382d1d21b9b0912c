import json

import pytest

from secretkit.config.trust import digest, trust, trusted_digest
from secretkit.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "secretkit.toml"
    file.write_text("[leases]\n")
    file.chmod(0o600)
    return file


def test_trust_notes_path_and_content(tmp_path, file):
    state = tmp_path / "state"
    assert trusted_digest(file, state_dir=state) == ""
    noted = trust(file, state_dir=state)
    assert noted == digest(b"[leases]\n")
    assert trusted_digest(file, state_dir=state) == noted
    assert trusted_digest(tmp_path / "other.toml", state_dir=state) == ""
    assert (state / "trusted.json").stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in state.iterdir()] == ["trusted.json"]


def test_two_files_are_kept_side_by_side(tmp_path, file):
    other = tmp_path / "pyproject.toml"
    other.write_text("x = 1")
    for each in (file, other):
        trust(each, state_dir=tmp_path / "state")
    assert len(json.loads((tmp_path / "state/trusted.json").read_text())["files"]) == 2


def test_a_file_others_can_write_is_not_trusted(tmp_path, file):
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="0666"):
        trust(file, state_dir=tmp_path / "state")
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        trust(file, state_dir=tmp_path / "state")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}', '{"files": {"/x": 1}}'])
def test_a_damaged_list_trusts_nothing_and_says_so(tmp_path, file, text):
    listing = tmp_path / "trusted.json"
    listing.write_text(text)
    listing.chmod(0o600)
    for act in (trusted_digest, trust):
        with pytest.raises(ConfigError, match="damaged") as caught:
            act(file, state_dir=tmp_path)
        assert f"rm {listing}" in caught.value.hint
    assert listing.read_text() == text


def test_a_list_others_can_write_is_refused(tmp_path, file):
    trust(file, state_dir=tmp_path / "state")
    (tmp_path / "state/trusted.json").chmod(0o666)
    with pytest.raises(ConfigError, match="0666"):
        trusted_digest(file, state_dir=tmp_path / "state")


def test_a_list_that_cannot_be_written_is_an_error(tmp_path, file):
    (tmp_path / "state").write_text("a file stands in the way")
    with pytest.raises(ConfigError, match="cannot be"):
        trust(file, state_dir=tmp_path / "state")
