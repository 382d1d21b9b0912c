"""The issuer's socket: the kernel says who asks."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from secretkit.errors import AccessDeniedError, ConfigError, ProviderUnavailableError
from secretkit.identity import open_identity
from secretkit.identity.issuer import Issuer, read_plan
from secretkit.identity.listener import Listener
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider

LIMIT = timedelta(seconds=10)


@pytest.fixture
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("i") / "issuer.sock"


@pytest.fixture
def open_folder():
    """A folder that other users can reach; pytest's own is closed to them."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def issuer(path, *uids, audiences=None):
    more = {} if audiences is None else {"audiences": audiences}
    table = {
        "issuer_url": "https://id.example.org",
        "signing_key": "memory:issuer",
        "socket": f"unix://{path}",
        "workloads": [{"uid": uid, "subject": f"host/{uid}", **more} for uid in uids],
    }
    context = provider_context(providers={"memory": MemoryProvider()})
    made = Issuer(read_plan(table), context=context)
    made.refresh()
    made.published()
    return made


def identity(path, audience="one"):
    table = {"type": "issuer", "socket": f"unix://{path}"}
    return open_identity(table, audience=audience, context=provider_context())


def test_a_known_user_gets_a_token_of_its_own(path):
    with Listener(issuer(path, os.getuid())):
        found = [identity(path).assertion(timeout=LIMIT) for _ in range(3)]
    assert {one.subject for one in found} == {f"host/{os.getuid()}"}
    assert found[0].secret != found[1].secret


def test_another_user_is_sent_away_before_it_says_a_word(path):
    with Listener(issuer(path, os.getuid() + 1)):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(path))
            assert line.recv(100) == b'{"error":"denied"}\n'
        with pytest.raises(AccessDeniedError, match="gives this user no token") as caught:
            identity(path).assertion(timeout=LIMIT)
    assert caught.value.ref == f"issuer:{path}"
    assert "workloads" in caught.value.hint


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_the_kernel_tells_two_users_apart(open_folder):
    path = open_folder / "issuer.sock"
    code = """
import contextlib, os, socket, sys
line = socket.socket(socket.AF_UNIX)
os.setuid(int(sys.argv[2]))
line.connect(sys.argv[1])
with contextlib.suppress(BrokenPipeError):
    line.sendall(b'{"audience":"a"}\\n')
print(line.recv(9000).decode()[:9])
"""
    with Listener(issuer(path, 1001)):
        told = [
            subprocess.run(
                [sys.executable, "-c", code, str(path), str(user)],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            ).stdout
            for user in (1001, 1002)
        ]
    assert told == ['{"token":\n', '{"error":\n']


def test_an_audience_that_is_not_allowed_is_denied(path):
    with Listener(issuer(path, os.getuid(), audiences=["one"])):
        assert identity(path, "one").assertion(timeout=LIMIT)
        with pytest.raises(AccessDeniedError):
            identity(path, "two").assertion(timeout=LIMIT)


@pytest.mark.parametrize(
    "question",
    [
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"[]\n",
        b"{}\n",
        b'{"audience": 7}\n',
        b'{"audience": ""}\n',
        b'{"audience": "a\\nb"}\n',
        b'{"audience": "' + b"a" * 2000 + b'"}\n',
        b"x" * 10_000,
        b"[" * 4_000 + b"\n",
    ],
    ids=range(10),
)
def test_a_malformed_question_is_answered_in_one_word(path, question):
    with Listener(issuer(path, os.getuid())), socket.socket(socket.AF_UNIX) as line:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(question)
        assert json.loads(line.recv(100)) == {"error": "malformed"}


def test_one_who_says_nothing_keeps_nobody_waiting(path):
    with Listener(issuer(path, os.getuid())):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for line in silent:
            line.connect(str(path))
        assert identity(path).assertion(timeout=LIMIT)
        for line in silent:
            line.close()


def test_one_who_drips_a_question_is_hung_up_on_all_the_same(path):
    with Listener(issuer(path, os.getuid())), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.settimeout(0.5)
        said = 0
        while said < 20:  # ten seconds; the question has five
            try:
                line.sendall(b" ")
                said += 1
                if line.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert 6 < said < 20


def test_many_ask_at_once(path):
    with Listener(issuer(path, os.getuid())):
        found = []
        threads = [
            threading.Thread(
                target=lambda: found.append(identity(path).assertion(timeout=LIMIT).subject)
            )
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == [f"host/{os.getuid()}"] * 40


def test_the_socket_goes_with_the_issuer(path):
    with Listener(issuer(path, os.getuid())):
        assert path.is_socket()
    assert not path.exists()
    with pytest.raises(ProviderUnavailableError, match="cannot be reached") as caught:
        identity(path).assertion(timeout=LIMIT)
    assert "secretkit identity issuer" in caught.value.hint


def test_a_socket_left_behind_is_replaced_and_one_that_answers_is_not(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with Listener(issuer(path, os.getuid())):
        with pytest.raises(ConfigError, match="another issuer"):
            Listener(issuer(path, os.getuid())).__enter__()
        assert identity(path).assertion(timeout=LIMIT)


def test_a_file_in_its_place_is_not_taken_away(path):
    path.write_text("mine")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Listener(issuer(path, os.getuid())).__enter__()
    assert path.read_text() == "mine"
