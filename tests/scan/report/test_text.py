import re

from secretkit.core.record import replace
from secretkit.scan.report import Report, render
from secretkit.scan.report.text import counts, lines, told
from secretkit.scan.summary import Summary


def test_a_finding_says_where_what_how_sure_and_what_to_do(plain):
    first, masked, empty, title, advice, accepting = render(plain, form="text").splitlines()
    assert first == "src/app.py:3:8: critical acme-key (high confidence)"
    assert masked == "    | KEY = 'acme…'"
    assert (empty, title) == ("", "What to do:")
    assert advice.startswith("  acme-key: ACME key. Revoke it: https://acme.example/keys; store a")
    assert "'secretkit: allow REASON'" in accepting
    assert "secretkit scan --accept --reason REASON" in accepting


def test_no_name_drives_a_terminal_or_a_workflow(hostile):
    text = render(hostile, form="text")
    assert text.replace("\n", "").isprintable()
    for line in text.splitlines():
        assert not re.match(r"\s*::", line)
        assert "##[" not in line
    assert sum(": critical " in line for line in text.splitlines()) == 2
    assert sum("not scanned in full" in line for line in text.splitlines()) == 1
    assert "commit abababababab)" in text


def test_a_clean_report_is_empty_and_its_last_word_says_what_was_read(clean):
    assert render(clean, form="text") == ""
    assert counts(clean) == "nothing found; 1 file, 10 bytes scanned in 0.00 s"


def test_a_value_in_use_is_named_with_the_command_that_replaces_it(live):
    text = render(live, form="text")
    assert "generation 7 of the credential claude" in text
    assert "secretkit set claude" in text


def test_the_last_word_counts_what_was_accepted_and_by_what(plain):
    found = plain.summary.findings[0]
    accepted = tuple(replace(found, accepted=way) for way in ("baseline", "comment", "comment"))
    summary = Summary(
        findings=(found,), accepted=accepted, files=1200, size=3_400_000, commits=5, blobs=7
    )
    assert counts(Report(summary=summary, seconds=1.234)) == (
        "1 found, 3 accepted (1 by baseline, 2 by comment); 1200 files, 5 commits, 7 blobs, "
        "3.4 MB scanned in 1.23 s"
    )


def test_every_part_of_a_line_has_a_style(plain):
    first = next(iter(lines(plain)))
    assert [style for style, _ in first] == ["path", "place", "critical", "", "rule", "mild"]


def test_at_most_ten_accepted_findings_are_named(plain):
    one = replace(plain.summary.findings[0], accepted="comment")
    assert list(told([one])) == ["accepted by comment: src/app.py:3: acme-key"]
    many = list(told([one] * 12))
    assert len(many) == 11
    assert many[-1] == "accepted: 2 more"
