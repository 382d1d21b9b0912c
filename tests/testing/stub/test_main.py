"""The stand-in as a process of its own."""

import json
import signal
import subprocess
import sys

import pytest
from stubwire import KEY, request, send

COMMAND = [sys.executable, "-m", "secretkit.testing.stub", "--port", "0"]


@pytest.fixture
def process(tmp_path):
    command = [*COMMAND, "--control", "--log", str(tmp_path / "log.jsonl")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.stdin.close()
        assert running.wait(10) == 0


def tell(process, line):
    process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_it_prints_its_url_and_obeys_commands(process):
    url = process.stdout.readline().strip()
    assert send(url, request(url)).status == 401
    assert tell(process, {"do": "accept", "label": "a", "key": KEY}) == {"ok": True}
    assert send(url, request(url)).status == 200
    assert tell(process, {"do": "next", "status": 429, "retry_after": 1, "delay": 0.01})["ok"]
    assert send(url, request(url)).headers["retry-after"] == "1"
    assert tell(process, {"do": "reply", "text": "other"})["ok"]
    assert b"other" in send(url, request(url)).body
    assert tell(process, {"do": "refuse_after", "label": "a", "seconds": 0})["ok"]
    assert send(url, request(url)).status == 401
    assert tell(process, {"do": "down"})["ok"]
    with pytest.raises(ConnectionRefusedError):
        send(url, request(url))
    assert tell(process, {"do": "up"})["ok"]
    assert tell(process, {"do": "accept", "label": "a", "key": KEY})["ok"]
    assert tell(process, {"do": "expire", "label": "a"})["ok"]
    assert tell(process, {"do": "refuse", "label": "a"})["ok"]
    summary = tell(process, {"do": "summary"})
    assert (summary["requests"], summary["rejected"]) == (5, 2)


def test_a_wrong_command_gets_an_answer_without_its_text(process):
    process.stdout.readline()
    wrong = [
        "",
        "{",
        "[]",
        "3",
        {},
        {"do": "dance"},
        {"do": "accept", "key": KEY},
        {"do": "accept", "label": "a", "key": ""},
        {"do": "next", "colour": 1},
        {"do": "next", "status": 1},
        {"do": "next", "status": "x"},
        {"do": "next", "delay": "x"},
        {"do": "refuse", "label": "nobody"},
        {"do": "refuse_after", "label": "a", "seconds": KEY},
    ]
    for command in wrong:
        answer = tell(process, command)
        assert answer["ok"] is False
        assert answer["hint"]
        assert KEY not in json.dumps(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_control_a_signal_ends_it(number):
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline().startswith("http://127.0.0.1:")
        running.send_signal(number)
        assert running.wait(10) == 0
