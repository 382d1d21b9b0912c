"""SQLite in a file, SQLite in memory and PostgreSQL keep one contract."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "ledger")]

from ledger_contract import LastingContract, LedgerContract  # noqa: E402
from postgres_server import Server, postgres  # noqa: E402, F401 - a fixture

import secretkit.ledger  # noqa: E402
from secretkit.ports import Ledger  # noqa: E402


class TestSqliteFile(LastingContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.place = tmp_path
        self.paths: dict[int, Path] = {}

    def make_ledger(self) -> Ledger:
        path = self.place / f"{len(self.paths)}" / "ledger.db"
        made = secretkit.ledger.open(f"sqlite://{path}")
        self.paths[id(made)] = path
        return made

    def again(self, ledger: Ledger) -> Ledger:
        return secretkit.ledger.open(f"sqlite://{self.paths[id(ledger)]}")

    def _run(self, ledger: Ledger, sql: str, *values: object) -> list[Any]:
        connection = sqlite3.connect(self.paths[id(ledger)], isolation_level=None)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def raw(self, ledger: Ledger, sql: str, *values: object) -> None:
        self._run(ledger, sql, *values)

    def fetch(self, ledger: Ledger, sql: str) -> Any:
        return self._run(ledger, sql)[0][0]


class TestSqliteMemory(LedgerContract):
    def make_ledger(self) -> Ledger:
        return secretkit.ledger.open("sqlite://")

    def raw(self, ledger: Ledger, sql: str, *values: object) -> None:
        ledger._link._connection.execute(sql, values)

    def fetch(self, ledger: Ledger, sql: str) -> Any:
        return ledger._link._connection.execute(sql).fetchone()[0]


class TestPostgres(LastingContract):
    @pytest.fixture(autouse=True)
    def _server(self, postgres: Server) -> None:  # noqa: F811 - the fixture
        self.server = postgres
        self.urls: dict[int, str] = {}

    def make_ledger(self) -> Ledger:
        url = self.server.new_url()
        made = secretkit.ledger.open(url)
        self.urls[id(made)] = url
        return made

    def again(self, ledger: Ledger) -> Ledger:
        return secretkit.ledger.open(self.urls[id(ledger)])

    def _run(self, ledger: Ledger, sql: str, *values: object) -> list[Any]:
        import psycopg

        with psycopg.connect(self.urls[id(ledger)], autocommit=True) as connection:
            cursor = connection.execute(sql.replace("?", "%s").encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def raw(self, ledger: Ledger, sql: str, *values: object) -> None:
        self._run(ledger, sql, *values)

    def fetch(self, ledger: Ledger, sql: str) -> Any:
        return self._run(ledger, sql)[0][0]
