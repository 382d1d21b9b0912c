import xml.etree.ElementTree as ET

from secretkit.scan.report import render


def parsed(report):
    return ET.fromstring(render(report, form="junit"))  # noqa: S314 - our own


def test_a_finding_is_a_failed_test_with_place_and_advice(plain):
    root = parsed(plain)
    assert root.attrib == {"tests": "1", "failures": "1", "errors": "0", "time": "0.250"}
    (case,) = root.iter("testcase")
    assert case.attrib == {"classname": "src/app.py", "name": "acme-key src/app.py:3:8"}
    (failure,) = case
    assert "https://acme.example/keys" in failure.text
    assert "KEY = 'acme…'" in failure.text


def test_a_clean_scan_is_one_test_that_passed(clean):
    root = parsed(clean)
    assert root.get("tests") == "1"
    assert [list(case) for case in root.iter("testcase")] == [[]]


def test_what_was_not_scanned_is_an_error_and_any_name_parses(hostile):
    root = parsed(hostile)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "2", "1")
    assert len(list(root.iter("error"))) == 1
    text = render(hostile, form="junit")
    assert text.replace("\n", "").isprintable()
    assert "::error::" not in text
