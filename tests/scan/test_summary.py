from __future__ import annotations

import json

import pytest

from secretkit.scan.finding import Finding, Live, Skipped
from secretkit.scan.summary import Summary, from_plain, plain, total


def finding(path="a", line=1, live=None):
    return Finding(
        rule="acme-key",
        severity="high",
        confidence="high",
        path=path,
        line=line,
        column=1,
        end_column=9,
        commit=None,
        fingerprint="00ff",
        redacted="k = …",
        live=live,
    )


def test_a_sum_is_in_order_and_complete():
    first = Summary(
        findings=(finding("b"), finding("a", 2)), files=2, size=10, accepted=(finding("c"),)
    )
    second = Summary(findings=(finding("a", 1),), skipped=(Skipped(path="z", reason="r"),), blobs=3)
    whole = total([first, second])
    assert [(one.path, one.line) for one in whole.findings] == [("a", 1), ("a", 2), ("b", 1)]
    assert (whole.files, whole.size, len(whole.accepted), whole.blobs) == (2, 10, 1, 3)
    assert whole.skipped == (Skipped(path="z", reason="r"),)


def test_a_summary_survives_json():
    summary = Summary(
        findings=(finding(), finding("\udcff/b", live=Live(credential="claude", generation=3))),
        skipped=(Skipped(path="x", reason="y"),),
        files=1,
        commits=4,
    )
    assert from_plain(json.loads(json.dumps(plain(summary)))) == summary


@pytest.mark.parametrize("broken", [{}, {"files": 1}, {**plain(Summary()), "findings": [{}]}])
def test_what_is_no_summary_is_refused(broken):
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_plain(broken)
