import dataclasses
from pathlib import Path

import pytest

from secretkit.config.parse import parse_config
from secretkit.config.schema import Config
from secretkit.config.show import settings, shown_url

PASSWORD = "hunter2"

TEXT = b"""
[providers.vault]
type = "vault"
auth = { method = "approle", retry = true, list = ["a", "b"] }
[credentials.claude]
kind = "anthropic-api-key"
source = ["env:A", "vault:x#y"]
ttl = "90s"
[rotation.claude]
target = "anthropic-api-key"
every = "30d"
"""


def test_each_effective_value_with_its_origin():
    config = parse_config(TEXT, file=Path("/f.toml"))
    assert isinstance(config, Config)
    shown = {s.key_path: (s.value, str(s.origin)) for s in settings(config)}
    assert shown["credentials.claude.source"] == (
        "env:A, vault:x#y",
        "/f.toml:7 credentials.claude.source",
    )
    assert shown["credentials.claude.ttl"] == ("1m30s", "/f.toml:8 credentials.claude.ttl")
    assert shown["providers.vault.auth.list"] == ("a, b", "/f.toml:4 providers.vault.auth.list")
    assert shown["providers.vault.auth.retry"][0] == "true"
    assert shown["leases.ttl"] == ("15m", "default")
    assert shown["leases.renew_at"] == ("0.6", "default")
    assert shown["rotation.claude.every"][0] == "30d"
    assert "rotation.claude.overlap" not in shown


def test_the_password_of_a_ledger_url_is_not_shown():
    for url in (f"postgresql://u:{PASSWORD}@h:5432/d?x=1", "postgresql://h/d?password=hunter2"):
        config = dataclasses.replace(Config(), ledger_url=url)
        assert "hunter2" not in repr(settings(config))
    assert shown_url(f"postgresql://u:{PASSWORD}@h:5432/d") == "postgresql://***@h:5432/d"
    assert shown_url(f"postgresql://[u:{PASSWORD}@h/d") == "***"
    assert shown_url("postgresql://[::1]:5432,h2/d?sslmode=require") == (
        "postgresql://[::1]:5432,h2/d?***"
    )
    for url in ("sqlite:////x", "sqlite://", "sqlite:///:memory:", "postgresql:///d"):
        assert shown_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql:///db?host=h&sslpassword={PASSWORD}",
        f"postgresql:///db?{PASSWORD}",
        f"postgresql://u:hun/{PASSWORD}#pw@h/db",
        f"postgresql://u:{PASSWORD}/x@h/db",
        f"postgresql://u:{PASSWORD}#x@h/db",
        f"postgresql://u:{PASSWORD}?x@h/db",
        f"postgresql://u:1/{PASSWORD}@h/db",
        f"postgresql://u:{'1?' + PASSWORD}@h/db",
        f"postgresql://u:1?x/{PASSWORD}",
        f"postgresql://u:a@{PASSWORD}@h/db",
        f"postgresql://u:a b/{PASSWORD}",
        f"sqlite:///x?key={PASSWORD}",
        f"sqlite://u:{PASSWORD}@h/x",
        f"u:{PASSWORD}@h/db",
        PASSWORD,
    ],
)
def test_whatever_a_url_looks_like_no_password_in_it_is_shown(url):
    assert PASSWORD not in shown_url(url)


def test_calls_nobody_stated_are_shown_as_the_number_in_force():
    config = parse_config(b'[leases]\nttl = "1s"\n', file=Path("/f.toml"))
    assert isinstance(config, Config)
    shown = {s.key_path: (s.value, str(s.origin)) for s in settings(config)}
    assert shown["leases.calls"] == (str(config.policy.calls), "default")
    assert config.policy.calls > 60_000
