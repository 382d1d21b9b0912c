"""The demo, run once in full, with its figures counted again from the stand-in's own log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SECRETKIT = Path(sys.executable).parent / "secretkit"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of the real command in a home of its own: figures, the stand-in's log, stderr."""
    home = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [SECRETKIT, "demo", "--json", "--log", home / "log.jsonl"],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TMPDIR": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(line) for line in (home / "log.jsonl").read_text().splitlines()]
    return json.loads(done.stdout), records, home


def test_nobody_noticed_twenty_key_changes_an_outage_and_a_401(run):
    figures, _, _ = run
    assert figures["failed"] == 0
    assert figures["leaks"] == 0
    assert figures["rotations"] == 20
    assert figures["requests"] >= 2000
    assert figures["streams"] >= 200
    assert figures["rejected_upstream"] >= 1
    assert figures["source_failures"] >= 1
    assert figures["audit_intact"] is True


def test_the_figures_are_those_of_the_stand_ins_own_log(run):
    figures, records, _ = run
    statuses = Counter(record["status"] for record in records)
    assert statuses[401] == figures["rejected_upstream"]
    answered = [record for record in records if record["status"] == 200]
    assert sum(record["stream"] for record in answered) == figures["streams"]
    assert sum(not record["stream"] for record in answered) == figures["requests"]
    assert set(statuses) == {200, 401}
    assert all(record["finished"] for record in records)


def test_the_clients_really_moved_from_key_to_key(run):
    figures, records, _ = run
    used = [record["key"] for record in records if record["status"] == 200]
    assert len(set(used)) == figures["generations"]
    assert used[-1] == "key-21"
    refused = {record["key"] for record in records if record["status"] == 401}
    assert refused
    assert "key-21" not in refused


def test_a_store_that_is_asked_rarely_serves_thousands_of_requests(run):
    figures, _, _ = run
    assert figures["source_calls"] < figures["requests"] / 50


def test_nothing_is_left_behind(run):
    _, _, home = run
    assert [path.name for path in home.iterdir()] == ["log.jsonl"]


def test_a_live_call_must_be_told_where_the_key_is(tmp_path):
    done = subprocess.run(
        [SECRETKIT, "demo", "--live"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "sk-" + "x" * 20},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert "--key-from env:ANTHROPIC_API_KEY" in done.stderr
    assert "sk-x" not in done.stdout + done.stderr
