"""The report for people: place, rule, the line with its secrets masked, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.scan.report.shown import advice, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from secretkit.scan.finding import Finding
    from secretkit.scan.report import Report
    from secretkit.scan.summary import Summary

__all__ = ["Part", "counts", "lines", "render", "told"]

Part = tuple[str, str]  # a style (path, place, rule, mild, or a severity) and text

_ACCEPTING: Final = (
    "To accept what is no secret, or no longer valid: end its line with a comment "
    "'secretkit: allow REASON', or run: secretkit scan --accept --reason REASON"
)
_KILO: Final = 1000
_TOLD: Final = 10


def render(report: Report) -> str:
    """Give the plain report. No line of it starts with text from a file."""
    return "".join(f"{''.join(text for _, text in line)}\n" for line in lines(report))


def lines(report: Report) -> Iterator[Sequence[Part]]:
    """Give the lines of the report in parts, each with its style."""
    summary = report.summary
    for finding in summary.findings:
        yield from _finding(finding)
    for one in summary.skipped:
        yield ("path", shown(one.path)), ("", f": not scanned in full: {shown(one.reason)}")
    if summary.findings:
        yield (("", ""),)
        yield from _advice(summary.findings)


def counts(report: Report) -> str:
    """Give the last word: what was found, what was accepted, and how much was read."""
    summary = report.summary
    found = len(summary.findings)
    words = [f"{found} found" if found else "nothing found"]
    if summary.accepted:
        words.append(_accepted(summary))
    if summary.skipped:
        words.append(f"{len(summary.skipped)} not scanned in full")
    read = [f"{summary.files} {'file' if summary.files == 1 else 'files'}"]
    read += [f"{summary.commits} commits"] if summary.commits else []
    read += [f"{summary.blobs} blobs"] if summary.blobs else []
    return (
        f"{', '.join(words)}; {', '.join(read)}, {_size(summary.size)} scanned"
        f" in {report.seconds:.2f} s"
    )


def told(accepted: Sequence[Finding]) -> Iterator[str]:
    """Name at most ten accepted findings, a line each, and how many more there are."""
    for one in accepted[:_TOLD]:
        yield f"accepted by {one.accepted}: {shown(one.path)}:{one.line}: {one.rule}"
    if len(accepted) > _TOLD:
        yield f"accepted: {len(accepted) - _TOLD} more"


def _finding(finding: Finding) -> Iterator[Sequence[Part]]:
    where = f":{finding.line}:{finding.column}"
    commit = f", commit {finding.commit[:12]}" if finding.commit else ""
    yield (
        ("path", shown(finding.path)),
        ("place", f"{where}: "),
        (finding.severity, finding.severity),
        ("", " "),
        ("rule", finding.rule),
        ("mild", f" ({finding.confidence} confidence{commit})"),
    )
    yield ("mild", "    | "), ("", finding.redacted.replace("##[", "#\\x23["))
    if finding.live is not None:
        name, number = shown(finding.live.credential), finding.live.generation
        yield (("critical", f"    = generation {number} of the credential {name}, as handed out"),)


def _advice(findings: Sequence[Finding]) -> Iterator[Sequence[Part]]:
    yield (("", "What to do:"),)
    for rule in sorted({one.rule for one in findings}):
        first = next(one for one in findings if one.rule == rule)
        what = f"{shown(first.description)}. " if first.description else ""
        yield ("", "  "), ("rule", rule), ("", f": {what}{advice(first)}")
    for name in sorted({one.live.credential for one in findings if one.live}):
        yield (
            ("", f"  store a new {shown(name)}, then revoke this one: secretkit set {shown(name)}"),
        )
    yield (("", _ACCEPTING),)


def _accepted(summary: Summary) -> str:
    ways = [one.accepted for one in summary.accepted]
    each = [f"{ways.count(way)} by {way}" for way in ("baseline", "comment") if way in ways]
    return f"{len(ways)} accepted ({', '.join(each)})"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < _KILO:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= _KILO
    return f"{size:.1f} GB"
