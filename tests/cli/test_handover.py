import pytest

from secretkit.cli.handover import inherited, secret_files, variables_used
from secretkit.config.schema import Config, CredentialConfig, ProviderConfig
from secretkit.core.ref import SecretRef
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
    "ANTHROPIC_SPARE_KEY",
    "SIGNING_KEYS",
    "GITHUB_PAT",
    "STORE_PHRASE",
    "DB_PASS",
    "DB_PWD",
    "SSHPASS",
    "REFRESH_TOKENS",
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
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "SSH_ASKPASS",
    "OLDPWD",
    "PWD",
    "COMPASS",
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


def test_a_url_with_a_password_stays_behind():
    environ = {
        "DATABASE_URL": "postgresql://app:" + "hunter2" + "@db/app",
        "PROXY": "see http://u:" + "p" + "@proxy:3128",
        "PLAIN_URL": "https://example.com:8080/a@b",
        "USER_URL": "ssh://git@example.com/x",
    }
    passed, left_out = inherited(environ, keep=())
    assert left_out == ["DATABASE_URL", "PROXY"]
    assert sorted(passed) == ["PLAIN_URL", "USER_URL"]


def test_what_the_configuration_itself_reads_stays_behind():
    config = Config(
        providers={
            "local": ProviderConfig(
                type="local", options={"key": {"type": "passphrase", "env": "STORE_OPENER"}}
            ),
            "both": ProviderConfig(
                type="chain",
                options={"of": ["keyring", "env:FALLBACK", {"provider": "env", "path": "LAST"}]},
            ),
            "surroundings": ProviderConfig(type="env"),
            "vault": ProviderConfig(
                type="vault", options={"login_env": "ROLE", "address": "https://v", "env": "on-off"}
            ),
            "op": ProviderConfig(type="command", options={"argv": ["op"], "env": ["PATH"]}),
        },
        credentials={
            "a": CredentialConfig(
                name="a",
                kind="opaque",
                sources=(SecretRef.parse("env:SPARE#field"), SecretRef.parse("local:x")),
            ),
            "b": CredentialConfig(
                name="b", kind="opaque", sources=(SecretRef.parse("surroundings:OTHER"),)
            ),
            "c": CredentialConfig(name="c", kind="aws", options={"with": "env:PARENT"}),
            "d": CredentialConfig(
                name="d", kind="opaque", sources=(SecretRef.parse("both:EITHER"),)
            ),
        },
    )
    used = {"STORE_OPENER", "FALLBACK", "LAST", "ROLE", "SPARE", "OTHER", "PARENT", "EITHER"}
    used |= {"SECRETKIT_LEDGER_URL"}
    assert variables_used(config) == used
    environ = dict.fromkeys([*used, "PATH"], "v")
    assert inherited(environ, keep=["ROLE"], used=used) == (
        {"PATH": "v", "ROLE": "v"},
        sorted(used - {"ROLE"}),
    )


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
