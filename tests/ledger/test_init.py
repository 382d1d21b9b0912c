"""Opening a ledger by its URL."""

from __future__ import annotations

import subprocess
import sys
import traceback
from datetime import timedelta

import pytest

import secretkit.ledger
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError

PASSWORD = "hunter" + "2" * 20


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "/var/ledger.db",
        "sqlite:",
        "sqlite:/x.db",
        "sqlite://x.db",
        "sqlite://:memory:",
        "sqlite:///",
        "sqlite:///a/",
        "sqlite:///~/ledger.db",
        "sqlite:////~/ledger.db",
        "sqlite:///a?mode=memory",
        "sqlite:///a#b",
        "sqlite:///a%b",
        "sqlite:///a%2",
        "sqlite:///a%00b",
        "sqlite:///a%2F",
        "sqlite:///a%FFb",
        "sqlite:///a\0b",
        "sqlite:///a\nb",
        "sqlite:///a\ud800b",
        "SQLITE:///a",
        "sqlite3:///a",
        "mysql://u:p@h/d",
        "postgresql+psycopg://h/d",
        "postgresql:/h",
        None,
        7,
    ],
)
def test_a_url_that_is_none_of_ours_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        secretkit.ledger.open(url)
    assert caught.value.key_path == "ledger.url"
    assert "postgresql://" in caught.value.hint


@pytest.mark.parametrize("scheme", ["mysql", "postgres ql", "postgresqls"])
def test_a_refused_url_is_not_shown_not_even_by_a_traceback_with_locals(scheme):
    try:
        # Joined in the call, so that only the frames under test could know it.
        secretkit.ledger.open(f"{scheme}://user:{PASSWORD}@host/db")
    except ConfigError as error:
        text = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert PASSWORD not in text.replace(f"PASSWORD = {PASSWORD!r}", "")


@pytest.mark.parametrize(
    "wait", [timedelta(), timedelta(seconds=-1), timedelta(hours=2), timedelta.max]
)
def test_a_lock_timeout_that_is_none_is_refused(wait):
    with pytest.raises(ConfigError, match="lock timeout"):
        secretkit.ledger.open("sqlite://", lock_timeout=wait)


@pytest.mark.parametrize("slashes", ["//", "///"])
def test_both_spellings_of_an_absolute_path_mean_the_same_file(tmp_path, slashes):
    ledger = secretkit.ledger.open(f"sqlite:{slashes}{tmp_path}/ledger.db")
    ledger.fingerprint(Secret("x"))
    ledger.close()
    assert (tmp_path / "ledger.db").exists()


def test_what_a_url_cannot_hold_is_percent_encoded_and_opens_exactly_that_file(tmp_path):
    folder = tmp_path / "a#b?c%d%41"
    folder.mkdir(mode=0o700)
    ledger = secretkit.ledger.open(f"sqlite://{tmp_path}/a%23b%3Fc%25d%2541/ledger.db")
    ledger.fingerprint(Secret("x"))
    ledger.close()
    assert (folder / "ledger.db").exists()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_in_memory_ledgers_share_nothing(url):
    one, two = secretkit.ledger.open(url), secretkit.ledger.open(url)
    assert one.fingerprint(Secret("x")) != two.fingerprint(Secret("x"))
    one.close()
    two.close()


def test_opening_makes_nothing(tmp_path):
    secretkit.ledger.open(f"sqlite://{tmp_path}/deep/ledger.db").close()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_prints_its_place_and_never_a_postgresql_url(tmp_path):
    assert str(tmp_path) in repr(secretkit.ledger.open(f"sqlite://{tmp_path}/ledger.db"))
    ledger = secretkit.ledger.open(f"postgresql://user:{PASSWORD}@host/db")
    assert PASSWORD not in repr(ledger) + repr(ledger._link) + repr(vars(ledger._link))


def test_importing_the_room_loads_no_driver():
    code = (
        "import sys, secretkit.ledger; secretkit.ledger.open;"
        "print(sorted({'sqlite3','psycopg','asyncio','sqlalchemy','ctypes'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
