import pytest

from secretkit.cli.handover import inherited, secret_files
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError

HELD = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "OPENAI_API_KEY",
    "OPENAI_APIKEY",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "PGPASSWORD",
    "MYSQL_PWD",
    "DB_PASSWORD",
    "CLIENT_SECRET",
    "SECRET_KEY",
    "PRIVATE_KEY",
    "VAULT_TOKEN",
    "npm_token",
    "GOOGLE_APPLICATION_CREDENTIALS",
]
KEPT = [
    "PATH",
    "HOME",
    "LANG",
    "TERM",
    "TOKENIZERS_PARALLELISM",
    "KEYBOARD",
    "SSH_AUTH_SOCK",
    "SECRETKIT_CONFIG",
    "MONKEY",
    "ANTHROPIC_BASE_URL",
    "AWS_REGION",
    "KEY_ID",
    "MAX_TOKENS",
    "PASSWORD_STORE_DIR",
]


def test_variables_that_hold_credentials_stay_behind():
    environ = dict.fromkeys([*HELD, *KEPT], "v")
    passed, left_out = inherited(environ, keep=())
    assert sorted(passed) == sorted(KEPT)
    assert left_out == sorted(HELD)


def test_a_variable_that_was_chosen_goes_along():
    passed, left_out = inherited({"A_TOKEN": "a", "B_TOKEN": "b"}, keep=["B_TOKEN"])
    assert (passed, left_out) == ({"B_TOKEN": "b"}, ["A_TOKEN"])


def test_a_file_is_private_written_once_and_removed():
    with secret_files() as files:
        path = files.path("a", Secret("välue"))
        assert path.read_bytes() == "välue".encode()
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert files.path("a", Secret("other")) == path
        assert files.path("b", Secret("other")) != path
    assert not path.parent.exists()


def test_they_are_removed_after_an_error_too():
    seen = []

    def fail():
        with secret_files() as files:
            seen.append(files.path("a", Secret("value")))
            raise ConfigError

    with pytest.raises(ConfigError):
        fail()
    assert not seen[0].exists()


def test_a_file_that_cannot_be_written_is_an_error_without_the_value():
    with secret_files() as files:
        directory = files.path("a", Secret("value")).parent
        for entry in directory.iterdir():
            entry.unlink()
        directory.rmdir()
        with pytest.raises(ConfigError, match="cannot be written") as caught:
            files.path("b", Secret("hunter2hunter2"))
        assert "hunter2" not in str(caught.value)
