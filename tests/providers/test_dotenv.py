"""The dotenv provider: the format as it is written by hand and by other tools."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import (
    ConfigError,
    ProviderError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.providers.dotenv import DotenvProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

SECOND = timedelta(seconds=1)
VALUE = "canary-" + "d" * 30


@pytest.fixture
def env(tmp_path: Path):
    class Env:
        path = tmp_path / ".env"
        environ = {"HOME": str(tmp_path), "A": "from the environment", "C": "also"}  # noqa: RUF012
        provider = DotenvProvider.open(
            {}, provider_context(config_dir=str(tmp_path), environ=environ)
        )

        def fetch(self, text: str, ref: str = "dotenv:.env#A"):
            self.path.write_bytes(text.encode("utf-8", "surrogateescape"))
            return self.ask(ref)

        def ask(self, ref: str):
            return self.provider.fetch(SecretRef.parse(ref), timeout=SECOND)

    return Env()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=x", "x"),
        ("A=x\n", "x"),
        ("export A=x\n", "x"),
        ("\ufeffA=x\n", "x"),
        ("B=1\r\nA=x\r\nC=2\r\n", "x"),
        ("# note\n\nA='x y # z'\n", "x y # z"),
        ('A="x\\ny"\n', "x\ny"),
        ("A='x\ny'\nB=1\n", "x\ny"),
        ("A=x # note\n", "x"),
        ("A=x#y\n", "x#y"),
        ("A = x\n", "x"),
        ("A=ü鍵\n", "ü鍵"),
        ("A=$B ${C}\nB=1\n", "$B ${C}"),
        ('A="${C:-fallback}"\n', "${C:-fallback}"),
    ],
)
def test_the_usual_spellings_are_read_and_nothing_is_expanded(env, text: str, value: str) -> None:
    assert env.fetch(text).secret.reveal() == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"A={VALUE}\nB='open\nC=1\n", 2),
        (f"A={VALUE}\n\n\n\nB 'x'\n", 5),
        (f"A='{VALUE}' tail\n", 1),
        (f"A={VALUE}\n=x\n", 2),
        (f'\r\nB="{VALUE}\r\nA=1\r\n', 2),
    ],
)
def test_a_malformed_line_is_named_by_its_number_only(env, text: str, line: int) -> None:
    with pytest.raises(ProviderError, match=rf"line {line} is malformed") as caught:
        env.fetch(text)
    assert_no_trace(caught.value, VALUE)
    assert VALUE not in caught.value.hint


def test_a_variable_given_twice_is_refused_with_both_lines(env) -> None:
    with pytest.raises(ProviderError, match="in lines 1 and 3") as caught:
        env.fetch(f"A={VALUE}\nB=1\nA=other\n")
    assert_no_trace(caught.value, VALUE)


@pytest.mark.parametrize("text", ["A=\n", "A\n", "A=''\n", 'A=""\n', "A= # note\n"])
def test_a_variable_without_a_value_is_no_secret(env, text: str) -> None:
    with pytest.raises(SecretError, match="line 1"):
        env.fetch(text)


@pytest.mark.parametrize("text", ["", "\n", "# A=x\n", "B=1\n", "\ufeff"])
def test_a_variable_that_is_not_there_is_not_looked_for_elsewhere(env, text: str) -> None:
    with pytest.raises(SecretNotFoundError):
        env.fetch(text)


def test_a_near_miss_is_in_the_hint(env) -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        env.fetch("ANTHROPIC_API_KEY=x\n", "dotenv:.env#ANTROPIC_API_KEY")
    assert "did you mean #ANTHROPIC_API_KEY" in caught.value.hint


@pytest.mark.parametrize("text", ["A='" + VALUE + "\udcff'\n", "A=" + VALUE + "\0\n"])
def test_what_is_not_text_is_refused_without_showing_it(env, text: str) -> None:
    with pytest.raises(SecretError) as caught:
        env.fetch(text)
    assert_no_trace(caught.value, VALUE)


def test_the_variable_is_required_in_the_reference(env) -> None:
    with pytest.raises(RefError, match="name is missing") as caught:
        env.fetch("A=x\n", "dotenv:.env")
    assert "dotenv:.env#NAME" in caught.value.hint
    with pytest.raises(RefError, match="no versions"):
        env.fetch("A=x\n", "dotenv:.env#A@2")


def test_home_links_and_other_kinds_of_files(env, tmp_path: Path) -> None:
    env.path.write_text("A=x\n")
    (tmp_path / "link").symlink_to(".env")
    for ref in ("dotenv:~/.env#A", "dotenv:link#A", f"dotenv:{env.path}#A"):
        assert env.ask(ref).secret.reveal() == "x"
    os.mkfifo(tmp_path / "pipe")
    for ref in ("dotenv:pipe#A", f"dotenv:{tmp_path}#A"):
        with pytest.raises(ProviderError):
            env.ask(ref)
    with pytest.raises(SecretNotFoundError):
        env.ask("dotenv:absent#A")


def test_a_file_over_the_cap_is_refused(env) -> None:
    with pytest.raises(ProviderError, match="larger than"):
        env.fetch("A=x\n#" + "x" * (1 << 20))


def test_many_open_quotes_cost_no_more_than_one(env) -> None:
    with pytest.raises(ProviderError, match="line 1 is malformed"):
        env.fetch("A='\\\n" * 200_000)


def test_the_version_changes_with_the_file(env) -> None:
    one = env.fetch("A=x\n").version
    assert env.ask("dotenv:.env#A").version == one
    assert env.fetch("A=longer\n").version != one


def test_a_world_readable_file_is_read_and_left_alone(env) -> None:
    env.path.write_text("A=x\n")
    env.path.chmod(0o644)
    assert env.ask("dotenv:.env#A").secret.reveal() == "x"
    assert env.path.stat().st_mode & 0o777 == 0o644
    assert env.path.read_text() == "A=x\n"


def test_it_takes_no_options() -> None:
    with pytest.raises(ConfigError):
        DotenvProvider.open({"interpolate": True}, provider_context())
