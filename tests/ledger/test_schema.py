"""Making a schema and bringing it up to date."""

from __future__ import annotations

import sqlite3

import pytest

from secretkit.errors import LedgerError
from secretkit.ledger import schema, statement
from secretkit.ledger.keys import Keys
from secretkit.ledger.postgres import DIALECT as POSTGRES
from secretkit.ledger.sqlite import DIALECT


@pytest.fixture
def run():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield lambda sql, *values: connection.execute(sql, values).fetchall()
    connection.close()


def test_an_empty_database_has_version_nought(run):
    assert schema.version(run, DIALECT) == 0


def test_a_new_schema_has_the_newest_version(run):
    schema.create(run, DIALECT, keys=Keys.new())
    assert schema.version(run, DIALECT) == len(statement.MIGRATIONS)


def test_only_the_migrations_after_the_stored_version_run(run):
    schema.create(run, DIALECT, keys=Keys.new())
    second = ("ALTER TABLE secretkit_lease ADD COLUMN note {integer}",)
    schema.upgrade(run, DIALECT, start=1, migrations=(*statement.MIGRATIONS, second))
    run("SELECT note FROM secretkit_lease")
    with pytest.raises(LedgerError, match="schema 2"):
        schema.version(run, DIALECT)


def test_keys_are_known_again(run):
    keys = Keys.new()
    schema.create(run, DIALECT, keys=keys)
    schema.check_keys(run, DIALECT, keys=keys, where="it")
    with pytest.raises(LedgerError, match="another ledger"):
        schema.check_keys(run, DIALECT, keys=Keys.new(), where="it")


def test_every_statement_has_as_many_marks_in_both_dialects():
    texts = [text for text in vars(statement).values() if isinstance(text, str) and "?" in text]
    assert len(texts) > 15
    for text in texts[1:]:
        assert POSTGRES.sql(text).count("%s") == DIALECT.sql(text).count("?")
        assert "%" not in text


def test_migrations_leave_no_brace_behind():
    for dialect in (POSTGRES, DIALECT):
        for migration in statement.MIGRATIONS:
            assert not [step for step in migration if "{" in dialect.ddl(step)]
