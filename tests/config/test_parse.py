import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretkit.config.literal import may_be_literal
from secretkit.config.parse import parse_config
from secretkit.config.schema import Config
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError
from secretkit.scan.example import built_in_examples
from secretkit.scan.finder import Finder
from secretkit.scan.rule import shape_rules

PASSWORD = "hunter2"

FILE = Path("/etc/secretkit.toml")
KEY = "sk-ant-api03-" + "Aa0-" * 23 + "QWxyzwAA"


def parse(text: str) -> Config:
    found = parse_config(text.encode(), file=FILE)
    assert isinstance(found, Config), found
    return found


def refused(text: str | bytes) -> ConfigError:
    raw = text if isinstance(text, bytes) else text.encode()
    found = parse_config(raw, file=FILE)
    assert isinstance(found, ConfigError), found
    assert found.__traceback__ is None
    assert found.__context__ is None
    assert found.hint
    return found


FULL = """
[providers.vault]
type = "vault"
address = "https://vault.internal:8200"
auth = { method = "approle", secret_id = "file:/run/secrets/secret_id" }

[credentials.claude]
kind = "anthropic-api-key"
source = ["local:claude-a", "vault:secret/claude#api_key"]
ttl = "5m"

[credentials.db]
kind = "opaque"
source = "env:DB"

[credentials.bedrock]
kind = "aws"
assume_role = { role_arn = "arn:aws:iam::123456789012:role/claude", duration = "15m" }

[credentials.federated]
kind = "anthropic-federation"
identity = { type = "spiffe", audience = "https://api.anthropic.com" }
federation_rule_id = "fdrl_x"
organization_id = "o"

[leases]
ttl = "20m"
renew_at = 0.5
fetch_timeout = "3s"
calls = 70
per = "1h"

[rotation.claude]
target = "anthropic-api-key"
every = "30d"
overlap = "2h"

[ledger]
url = "postgresql://db.internal/secretkit"

[scan]
anything = { goes = true }
"""


def test_the_whole_format():
    config = parse(FULL)
    assert config.providers["vault"].type == "vault"
    assert config.providers["vault"].options["auth"] == {
        "method": "approle",
        "secret_id": "file:/run/secrets/secret_id",
    }
    claude = config.credential("claude")
    assert claude.pool() == (
        SecretRef("local", "claude-a"),
        SecretRef("vault", "secret/claude", "api_key"),
    )
    assert claude.ttl == timedelta(minutes=5)
    assert config.credential("db").sources == (SecretRef("env", "DB"),)
    assert config.policy.ttl == timedelta(minutes=20)
    assert config.policy.renew_at == 0.5
    assert config.policy.fetch_timeout == timedelta(seconds=3)
    assert (config.policy.calls, config.policy.per) == (70, timedelta(hours=1))
    assert config.rotations["claude"].overlap == timedelta(hours=2)
    assert config.ledger_url == "postgresql://db.internal/secretkit"
    assert config.scan == {"anything": {"goes": True}}
    assert config.file == FILE
    assert str(config.origin("leases.ttl")) == "/etc/secretkit.toml:27 leases.ttl"
    assert str(config.origin("providers.vault.auth.method")).startswith("/etc/secretkit.toml:5 ")


def test_an_empty_file_is_all_defaults():
    assert parse("") == Config(file=FILE)


@pytest.mark.parametrize("name", ["bedrock", "federated"])
def test_a_kind_that_is_exchanged_has_a_label_and_no_references(name):
    credential = parse(FULL).credential(name)
    assert credential.label == f"{credential.kind}:{name}"
    with pytest.raises(ConfigError, match="exchanged") as caught:
        credential.pool()
    assert caught.value.key_path == f"credentials.{name}"


def test_a_credential_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        parse(FULL).credential("cluade")
    assert caught.value.hint == "did you mean 'claude'?"
    assert "credentials.cluade" in str(caught.value)


def test_a_name_that_is_a_pasted_key_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        parse(FULL).credential(KEY)
    assert KEY not in str(caught.value) + caught.value.hint


C = '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "env:A"\n'


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("[lease]\n", ":1: lease", "leases"),
        ('[leases]\nttll = "1m"', ":2: leases.ttll", "did you mean 'ttl'?"),
        ("[leases]\nttl = 15", ":2: leases.ttl", "ttl"),
        ('[leases]\nttl = "15"', ":2: leases.ttl", "15m"),
        ('[leases]\nttl = "2d"', ":2: leases.ttl", ""),
        ("[leases]\nrenew_at = 1", ":2: leases.renew_at", "0.6"),
        ("[leases]\nrenew_at = nan", ":2: leases.renew_at", "0.6"),
        ("[leases]\nrenew_at = true", ":2: leases.renew_at", "0.6"),
        ("[leases]\nrenew_at = 0.01", ":2: leases.renew_at", ""),
        ("[leases]\ncalls = 0", ":2: leases.calls", ""),
        ("[leases]\ncalls = true", ":2: leases.calls", ""),
        ('[leases]\nttl = "1m"\ncalls = 7', ":3: leases.calls", "at least"),
        ('[leases]\nper = "31d"', ":2: leases.per", ""),
        ('[leases]\nfetch_timeout = "11m"', ":2: leases.fetch_timeout", ""),
        (
            '[leases]\ncalls = 8\n[credentials.c]\nkind = "opaque"\nsource = "env:A"\nttl = "1m"',
            ":6: credentials.c.ttl",
            "leave calls out",
        ),
        ("leases = 3", ":1: leases", "[leases]"),
        ("providers = []", ":1: providers", ""),
        ("[providers]\nvault = 1", ":2: providers.vault", ""),
        ("[providers.vault]\n", "providers.vault.type", "add type"),
        ('[providers.Vault]\ntype = "vault"', "providers.Vault", "rename"),
        ('[providers.v]\ntype = ""', "providers.v.type", ""),
        ('[providers.v]\ntype = "a\\nb"', "providers.v.type", ""),
        ("[credentials.c]\n", "credentials.c.kind", "add kind"),
        ('[credentials."a b"]\nkind = "opaque"', "credentials.'…'", "rename"),
        ('[credentials.c]\nkind = "anthropic-apikey"', "c.kind", "'anthropic-api-key'"),
        ('[credentials.c]\nkind = "opaque"', "c.source", "provider:path"),
        ('[credentials.c]\nkind = "opaque"\nsource = []', "c.source", "provider:path"),
        ('[credentials.c]\nkind = "opaque"\nsource = "hunter2"', ":3: credentials.c.source", ""),
        ('[credentials.c]\nkind = "opaque"\nsource = ["env:A", "env:A"]', "c.source", ""),
        ('[credentials.c]\nkind = "opaque"\nsource = ["env:A", 3]', "c.source", ""),
        ('[credentials.c]\nkind = "opaque"\nsource = "loca:A"', "c.source", "'local'"),
        ('[credentials.c]\nkind = "opaque"\nsourc = "env:A"', "c.sourc", "'source'"),
        ('[credentials.c]\nkind = "aws"\nassume_role = {}\nttl = "x"', "c.ttl", ""),
        ('[credentials.c]\nkind = "aws"\nassume_role = { duration = "1h" }', "role_arn", ""),
        ('[credentials.c]\nkind = "anthropic-federation"\n', "c.identity.type", ""),
        (C + '[rotation.cluade]\ntarget = "x"', "rotation.cluade", "'claude'"),
        (C + '[rotation.claude]\neveri = "1d"', "rotation.claude.everi", "'every'"),
        ('[ledger]\nurl = "mysql://x"', ":2: ledger.url", "sqlite"),
        (f'[ledger]\nurl = "postgresql://u:{PASSWORD}@h/d"', ":2: ledger.url", "secretkit set"),
        ('[ledger]\nurl = "postgresql://h/d?user=u&password=hunter2"', "ledger.url", "pgpass"),
        ('[providers.v]\ntype = "v"\npassword = "hunter2"', ":3: providers.v.password", "env:"),
        ('[providers.v]\ntype = "v"\ntoken = 12345', "providers.v.token", ""),
        (
            '[providers.v]\ntype = "v"\nauth = { Client-Secret = "hunter2" }',
            "auth.Client-Secret",
            "",
        ),
        ('[providers.v]\ntype = "v"\nkeys = [{ api_key = "hunter2" }]', "keys.api_key", ""),
        (f'[providers.v]\ntype = "v"\nurl = "https://u:{PASSWORD}@h"', "providers.v.url", ""),
        ('[credentials.c]\nkind = "aws"\nplatform = "bedrok"', "c.platform", "'bedrock'"),
        ('[identity.issuer]\nsigning_key = "hunter2"', "identity.issuer.signing_key", "local:"),
        ("identity = 1", "identity", "[identity]"),
    ],
)
def test_each_error_names_file_line_or_key_path_and_what_was_expected(text, where, hint):
    error = refused(text)
    assert str(error).startswith(str(FILE))
    assert where in str(error)
    assert hint in error.hint
    assert "hunter2" not in str(error) + error.hint


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"a = ", "/etc/secretkit.toml"),
        (b"\n\na b", "/etc/secretkit.toml:3"),
        (b"a = 1\na = 2\n", "/etc/secretkit.toml:2"),
        (b"\xff\xfe", "UTF-8"),
        (b"a = " + b"[" * 20_000, "nested too deeply"),
        (b"a = " + b"9" * 10_000, "not valid TOML"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(raw, where):
    assert where in str(refused(raw))


def test_a_literal_key_anywhere_is_refused_and_never_repeated():
    for text in (
        f'[credentials.c]\nkind = "opaque"\nsource = "{KEY}"\n',
        f"# {KEY}\n",
        f'[providers.v]\ntype = "{KEY}"\n',
        f'[credentials.{KEY}]\nkind = "opaque"\nsource = "env:A"\n',
        f'{KEY} = "x"\n',
        f'x = "{KEY}',
    ):
        error = refused(text)
        assert KEY not in "".join(traceback.TracebackException.from_exception(error).format())
        assert KEY[20:] not in str(error) + error.hint + repr(vars(error))


def test_the_error_of_a_literal_names_its_line_and_the_key_above():
    error = refused(f"[leases]\n\n# {KEY}\n")
    assert ":3: leases: " in str(error)
    assert "secretkit set" in error.hint


EXAMPLES = built_in_examples()


def test_what_any_rule_of_the_scanner_matches_is_refused():
    """With the rules made once: parsing makes them anew each time."""
    finder = Finder(shape_rules())
    for rule in shape_rules():
        for example in EXAMPLES[rule.id].matches:
            text = f"# {example}\n"
            assert may_be_literal(text.encode()), rule.id
            assert finder.shapes(text), rule.id
    for rule in shape_rules()[::60]:
        for example in EXAMPLES[rule.id].matches:
            assert "references only" in str(refused(f"# {example}\n"))


words = st.sampled_from(
    [
        "providers",
        "credentials",
        "leases",
        "rotation",
        "ledger",
        "scan",
        "kind",
        "source",
        "ttl",
        "type",
        "url",
        "x",
        "password",
        KEY,
        "calls",
        "identity",
        "assume_role",
        "opaque",
        "aws",
    ]
)
values = st.recursive(
    st.one_of(
        words,
        st.text(max_size=20),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.datetimes(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def as_toml(value: object) -> str:
    import json

    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


@given(st.dictionaries(words, values, max_size=5))
def test_no_table_makes_the_parser_fail_otherwise_or_repeat_a_key(tables):
    text = "\n".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in tables.items())
    found = parse_config(text.encode("utf-8", "surrogatepass"), file=FILE)
    if isinstance(found, ConfigError):
        assert KEY not in str(found) + found.hint + found.key_path
    else:
        assert isinstance(found, Config)


@given(
    st.binary(max_size=200)
    | st.text(st.sampled_from("[]{}=\"'.#\n\\ab1"), max_size=60).map(str.encode)
)
def test_no_bytes_make_the_parser_fail_otherwise(raw):
    assert isinstance(parse_config(raw, file=FILE), Config | ConfigError)


def test_the_table_of_a_pyproject_is_read_and_its_lines_are_the_file_s():
    raw = b'[project]\nname = "x"\n[tool.secretkit.leases]\nttl = "1m"\nttll = 1\n'
    error = parse_config(raw, file=FILE, prefix=("tool", "secretkit"))
    assert isinstance(error, ConfigError)
    assert ":5: leases.ttll" in str(error)
    assert parse_config(b"[project]", file=FILE, prefix=("tool", "secretkit")) == Config(file=FILE)


def test_calls_left_out_are_enough_for_a_short_life_also_that_of_one_credential():
    config = parse('[leases]\nttl = "6s"\nrenew_at = 0.2')
    assert config.policy.calls > 30_000
    short = '[credentials.c]\nkind = "opaque"\nsource = "env:A"\nttl = "1s"'
    config = parse(short)
    assert replace(config.policy, ttl=config.credential("c").ttl).calls > 60_000
    parse("[leases]\ncalls = 100_000\n" + short)


def test_an_identity_is_kept_as_it_stands():
    config = parse('[identity.issuer]\nissuer_url = "https://id.example"\nlife = "5m"')
    assert dict(config.identities["issuer"]) == {"issuer_url": "https://id.example", "life": "5m"}
