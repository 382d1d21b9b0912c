"""The shapes of an answer, and of an error in each protocol."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from secretkit.testing.aws.message import AwsRefusedError, json_answer, refusal, xml_answer

NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"


def test_equal_starts_of_a_name_stand_together_and_text_is_escaped():
    answer = xml_answer("Do", [("A/x", "1"), ("A/y", "<&"), ("z", "3")])
    result = ET.fromstring(answer.body)[0]  # noqa: S314 - made here
    assert result.tag == f"{NAMESPACE}DoResult"
    assert [(one.tag, [inner.text for inner in one]) for one in result] == [
        (f"{NAMESPACE}A", ["1", "<&"]),
        (f"{NAMESPACE}z", []),
    ]


def test_a_json_answer_is_of_version_1_1():
    answer = json_answer({"a": 1})
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert json.loads(answer.body) == {"a": 1}


@pytest.mark.parametrize(
    ("protocol", "status", "inside"),
    [
        ("query", 403, b"<Code>ExpiredToken</Code>"),
        ("json", 400, b'"__type": "ExpiredTokenException"'),
        ("rest", 403, b'"message": "ended"'),
    ],
)
def test_one_fact_has_the_name_and_status_of_its_protocol(protocol, status, inside):
    answer = refusal(AwsRefusedError("ExpiredTokenException", "ended"), protocol=protocol)
    assert answer.status == status
    assert inside in answer.body


@pytest.mark.parametrize(("protocol", "status"), [("query", 400), ("json", 400), ("rest", 429)])
def test_a_throttle_has_the_status_of_its_protocol(protocol, status):
    assert refusal(AwsRefusedError("ThrottlingException", ""), protocol=protocol).status == status


def test_a_servers_fault_is_the_receivers():
    answer = refusal(AwsRefusedError("InternalFailure", "", 500), protocol="query")
    assert (answer.status, b"<Type>Receiver</Type>" in answer.body) == (500, True)
