import json
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from jsonschema import Draft4Validator

from secretkit.core.record import replace
from secretkit.scan.report import Report, render
from secretkit.scan.summary import Summary

SCHEMA = json.loads((Path(__file__).parents[2] / "data/sarif-2.1.0-rtm.5.json").read_text())


def parsed(report):
    log = json.loads(render(report, form="sarif"))
    problems = [error.message for error in Draft4Validator(SCHEMA).iter_errors(log)]
    assert problems == []
    (run,) = log["runs"]
    return run


@pytest.mark.parametrize("name", ["plain", "hostile", "live", "clean"])
def test_every_report_fits_the_schema(name, request):
    assert parsed(request.getfixturevalue(name))


def test_the_schema_refuses_what_is_wrong(plain):
    log = json.loads(render(plain, form="sarif"))
    log["runs"][0]["results"][0]["level"] = "bad"
    assert list(Draft4Validator(SCHEMA).iter_errors(log))


def test_a_result_has_place_level_fingerprint_and_rule(plain):
    run = parsed(plain)
    (result,) = run["results"]
    assert result["level"] == "error"
    assert result["partialFingerprints"] == {"secretkit/v1": "0f" * 16}
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/app.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 3, "startColumn": 8, "endColumn": 40}
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "acme-key"
    assert "https://acme.example/keys" in rule["help"]["text"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["tool"]["driver"]["version"] == "1.2.3"


def test_a_path_is_encoded_byte_by_byte(hostile):
    run = parsed(hostile)
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert unquote_to_bytes(uri) == (
        b"=a\x1b[2J\n\xe2\x80\xae::error::##[x] \xc3\xa9\xff\xc2\x85.py"
    )


def test_an_absolute_path_is_a_file_uri(plain):
    found = replace(plain.summary.findings[0], path="/tmp/a b.py")  # noqa: S108 - only a name
    run = parsed(Report(summary=Summary(findings=(found,))))
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///tmp/a%20b.py"}


def test_what_was_not_scanned_makes_the_invocation_fail(hostile, clean):
    (invocation,) = parsed(hostile)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert len(invocation["toolExecutionNotifications"]) == 1
    assert parsed(clean)["invocations"][0]["executionSuccessful"] is True


def test_a_value_in_use_is_named(live):
    (result,) = parsed(live)["results"]
    assert result["properties"]["live"] == {"credential": "claude", "generation": 7}
