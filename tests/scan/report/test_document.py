import json

from secretkit.scan.report import render


def test_the_document_has_these_keys_and_no_other(plain):
    document = json.loads(render(plain, form="json"))
    assert document == {
        "findings": [
            {
                "rule": "acme-key",
                "severity": "critical",
                "confidence": "high",
                "path": "src/app.py",
                "line": 3,
                "column": 8,
                "end_column": 40,
                "commit": None,
                "fingerprint": "0f" * 16,
                "redacted": "KEY = 'acme…'",
            }
        ],
        "stats": {
            "files": 2,
            "bytes": 1234,
            "blobs": 0,
            "commits": 0,
            "seconds": 0.25,
            "skipped": [],
        },
    }


def test_any_name_gives_ascii_that_parses(hostile):
    text = render(hostile, form="json")
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    document = json.loads(text)
    assert document["findings"][0]["path"] == "=a\x1b[2J\n\u202e::error::##[x] é\\xff\x85.py"
    assert document["stats"]["skipped"] == [
        {"path": document["findings"][0]["path"], "reason": "is \x1b large"}
    ]
    document["findings"][0]["path"].encode("utf-8")


def test_only_a_value_in_use_has_a_credential(live):
    (finding,) = json.loads(render(live, form="json"))["findings"]
    assert finding["live"] == {"credential": "claude", "generation": 7}


def test_a_clean_scan_has_an_empty_list(clean):
    assert json.loads(render(clean, form="json"))["findings"] == []
