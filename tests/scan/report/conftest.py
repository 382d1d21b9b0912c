import pytest

from secretkit.core.record import replace
from secretkit.scan.finding import Finding, Live, Skipped
from secretkit.scan.report import Report
from secretkit.scan.summary import Summary

PATH = "=a\x1b[2J\n\u202e::error::##[x] é\udcff\x85.py"
PLAIN = Finding(
    rule="acme-key",
    severity="critical",
    confidence="high",
    path="src/app.py",
    line=3,
    column=8,
    end_column=40,
    commit=None,
    fingerprint="0f" * 16,
    redacted="KEY = 'acme…'",
    description="ACME key",
    advice="https://acme.example/keys",
)


@pytest.fixture
def plain():
    return Report(
        summary=Summary(findings=(PLAIN,), files=2, size=1234), seconds=0.25, version="1.2.3"
    )


@pytest.fixture
def hostile():
    """Two findings and a skipped file with names as bad as they come."""
    odd = replace(
        PLAIN, path=PATH, commit="ab" * 20, redacted="::error::x ##[error] …", rule="other-key"
    )
    skipped = Skipped(path=PATH, reason="is \x1b large")
    summary = Summary(findings=(odd, PLAIN), skipped=(skipped,), files=3, size=9)
    return Report(summary=summary, seconds=1)


@pytest.fixture
def live():
    found = replace(PLAIN, live=Live(credential="claude", generation=7))
    return Report(summary=Summary(findings=(found,)))


@pytest.fixture
def clean():
    return Report(summary=Summary(files=1, size=10))
