"""Regions, faults and the record of calls."""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx2
import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from secretkit.broker.clock import SystemClock
from secretkit.core.sigv4 import sign
from secretkit.errors import ConfigError
from secretkit.testing.aws import DROP, AwsStub, Call, Fault, Trust
from testing.aws.conftest import BROKER, READER
from testing.aws.refusals import refused


@pytest.fixture
def store(aws, client, broker):
    aws.secrets.add("a", "value", region="us-east-1")
    return client("secretsmanager", broker)


def ask(store):
    return store.get_secret_value(SecretId="a")["SecretString"]


def test_calls_are_counted_and_told_without_a_value(aws, broker, store):
    ask(store)
    with refused("ResourceNotFoundException"):
        store.get_secret_value(SecretId="none")
    assert aws.count("secretsmanager:GetSecretValue") == 2
    assert aws.counts() == {"secretsmanager:GetSecretValue": 2}
    action = "secretsmanager:GetSecretValue"
    assert aws.calls == (
        Call(action=action, region="us-east-1", caller=BROKER, status=200, code=""),
        Call(
            action=action,
            region="us-east-1",
            caller=BROKER,
            status=400,
            code="ResourceNotFoundException",
        ),
    )
    assert "value" not in repr(aws.calls)
    assert broker.access_key_id not in repr(aws.calls)


def test_a_throttle_tells_when_to_come_back_and_passes(aws, store):
    aws.faults.add(
        Fault(action="secretsmanager:*", code="ThrottlingException", retry_after="7", times=2)
    )
    for _ in range(2):
        with refused("ThrottlingException", status=400) as caught:
            ask(store)
        headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
        assert headers["retry-after"] == "7"
    assert ask(store) == "value"


def test_a_fault_is_for_its_action_and_region_until_it_is_cleared(aws, client, broker, store):
    aws.secrets.add("a", "west", region="us-west-2")
    aws.faults.add(Fault(region="us-east-1", code="InternalServiceError", times=0))
    aws.faults.add(Fault(action="sts:GetCallerIdentity", code="ServiceUnavailable"))
    for _ in range(3):
        with refused("InternalServiceError", status=500):
            ask(store)
    assert ask(client("secretsmanager", broker, region="us-west-2")) == "west"
    aws.faults.clear()
    client("sts", broker).get_caller_identity()
    assert ask(store) == "value"


def test_an_answer_is_dated_by_the_clock_of_the_stand_in(clock, store):
    clock.jump_wall(timedelta(minutes=-4))
    dates = []
    store.meta.events.register(
        "after-call", lambda http_response, **_: dates.append(http_response.headers["date"])
    )
    ask(store)
    assert [parsedate_to_datetime(one) for one in dates] == [clock.now().replace(microsecond=0)]


def test_many_threads_are_answered_at_once(aws, store):
    values = []

    def many():
        values.extend(ask(store) for _ in range(5))

    threads = [threading.Thread(target=many) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == ["value"] * 50
    assert aws.count("secretsmanager:GetSecretValue") == 50


def test_a_fault_hides_no_wrong_signature(aws, client, store):
    aws.faults.add(Fault(code="InternalServiceError"))
    with refused("MissingAuthenticationTokenException"):
        ask(client("secretsmanager"))
    with refused("InternalServiceError"):
        ask(store)


def test_a_region_can_be_down_and_come_back(aws, store):
    aws.stop_region("us-east-1")
    with pytest.raises(EndpointConnectionError):
        ask(store)
    url = aws.url("us-east-1")
    aws.start_region("us-east-1")
    assert aws.url("us-east-1") == url
    assert ask(store) == "value"


def test_a_region_that_never_was_has_no_address(aws):
    with pytest.raises(ConfigError):
        aws.url("eu-west-1")


def test_a_connection_can_be_cut_without_an_answer(aws, store):
    aws.faults.add(Fault(code=DROP))
    with pytest.raises(ConnectionClosedError):
        ask(store)
    assert aws.calls[-1].status == 0
    assert ask(store) == "value"


def test_an_answer_can_hang_and_the_stand_in_still_stops(aws, store):
    aws.faults.add(Fault(hang=timedelta(minutes=10)))
    with pytest.raises(ReadTimeoutError):
        ask(store)


def test_a_caller_can_be_denied_an_action(aws, client, broker, store, session):
    aws.deny("secretsmanager:GetSecretValue", arn=BROKER)
    with refused("AccessDeniedException", status=400):
        ask(store)
    assert ask(client("secretsmanager", session())) == "value"
    client("sts", broker).get_caller_identity()
    aws.deny("*", arn=BROKER)
    with refused("AccessDenied", status=403):
        client("sts", broker).get_caller_identity()


def test_its_repr_names_its_regions(aws):
    assert repr(aws) == "<AwsStub us-east-1, us-west-2>"


def test_a_body_that_is_no_object_is_refused(aws, clock, broker):
    for body in (b"[]", b"{"):
        url, target = f"{aws.url()}/", {"x-amz-target": "secretsmanager.ListSecrets"}
        made = sign(
            method="POST",
            url=url,
            headers=target,
            body=body,
            credentials=broker,
            service="secretsmanager",
            region="us-east-1",
            at=clock.now(),
        )
        answer = httpx2.post(url, content=body, headers=target | made)
        assert answer.json()["__type"] == "SerializationException"


def test_sessions_of_seconds_end_by_themselves_on_the_real_clock():
    """What tests of the rest are to use; here with the signer of this package."""
    clock = SystemClock()
    with AwsStub(life=timedelta(seconds=3)) as aws:
        role = aws.accounts.add_role(READER, trust=Trust())
        session = aws.accounts.start_session(role, name="run", duration=timedelta(minutes=15))

        def status():
            body = b"Action=GetCallerIdentity&Version=2011-06-15"
            headers = {"content-type": "application/x-www-form-urlencoded"}
            made = sign(
                method="POST",
                url=f"{aws.url()}/",
                headers=headers,
                body=body,
                credentials=session.credentials,
                service="sts",
                region="us-east-1",
                at=clock.now(),
            )
            return httpx2.post(f"{aws.url()}/", content=body, headers=headers | made).status_code

        assert status() == 200
        clock.wait(threading.Event(), 3.1)
        assert status() == 403


def test_what_a_service_does_not_know_is_refused(store):
    with refused("UnknownOperationException"):
        store.create_secret(Name="b", SecretString="c")
    with refused("InvalidParameterException"):
        store.list_secrets(Filters=[{"Key": "name", "Values": ["a"]}])
