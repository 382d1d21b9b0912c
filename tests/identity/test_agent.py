"""The program that asks: what it answers, and when it ends. It runs in our process here."""

import socket
import threading

import pytest

from secretkit.identity.agent import Agent, main
from secretkit.identity.frame import receive, send
from secretkit.testing.workload import WorkloadStub

ID = "spiffe://example.org/broker"
SECONDS = 10


@pytest.fixture
def stub(tmp_path_factory):
    with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as made:
        made.register(ID)
        yield made


@pytest.fixture
def agent():
    made = Agent()
    yield made
    made.close()


def question(stub, kind="jwt"):
    return {
        "kind": kind,
        "socket": stub.url,
        "seconds": SECONDS,
        "audience": "vault",
        "spiffe_id": "",
    }


def test_each_answer_is_a_fresh_svid_over_one_channel(stub, agent):
    first, second = (agent.answer(question(stub))["token"] for _ in range(2))
    said = [stub.domain.verify(one, audience="vault")["jti"] for one in (first, second)]
    assert said[0] != said[1]
    assert agent.answer(question(stub, "x509"))["subject"] == ID


def test_another_socket_is_another_agent(stub, agent, tmp_path_factory):
    assert "token" in agent.answer(question(stub))
    with WorkloadStub(tmp_path_factory.mktemp("w") / "b.sock") as other:
        other.register("spiffe://example.org/other")
        assert agent.answer(question(other, "x509"))["subject"] == "spiffe://example.org/other"
    assert agent.answer(question(stub, "x509"))["subject"] == ID


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAVAILABLE", "INTERNAL"])
def test_a_failure_is_a_code_and_the_next_question_is_asked_at_once(stub, agent, code):
    stub.fail(code)
    assert agent.answer(question(stub)) == {"code": code}
    stub.fail("")
    assert "token" in agent.answer(question(stub))


def test_an_agent_that_comes_back_is_asked_at_once(tmp_path_factory, agent):
    path = tmp_path_factory.mktemp("w") / "a.sock"
    with WorkloadStub(path) as before:
        before.register(ID)
        assert "token" in agent.answer(question(before))
    for _ in range(3):
        assert agent.answer(question(before))["code"] in {"UNAVAILABLE", "NO_SOCKET"}
    with WorkloadStub(path) as after:
        after.register(ID)
        assert "token" in agent.answer(question(after))


def test_an_agent_that_was_restarted_meanwhile_answers_the_first_question(tmp_path_factory, agent):
    path = tmp_path_factory.mktemp("w") / "a.sock"
    for _ in range(3):
        with WorkloadStub(path) as stub:
            stub.register(ID)
            assert "token" in agent.answer(question(stub))


def test_a_socket_that_is_not_there_is_said(agent, tmp_path):
    asked = {"kind": "jwt", "socket": f"unix://{tmp_path}/none", "seconds": SECONDS}
    assert agent.answer(asked) == {"code": "NO_SOCKET"}


@pytest.mark.parametrize("ending", ["idle", "closed"])
def test_it_says_that_it_is_ready_answers_and_ends(stub, ending):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        idle = 0.2 if ending == "idle" else 60.0
        running = threading.Thread(target=main, args=(theirs,), kwargs={"idle": idle})
        running.start()
        assert receive(ours, left=lambda: SECONDS) == {}
        send(ours, question(stub))
        assert "token" in receive(ours, left=lambda: SECONDS)
        if ending == "closed":
            ours.close()
        running.join(SECONDS)
        assert not running.is_alive()
