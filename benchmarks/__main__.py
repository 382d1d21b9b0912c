"""``python -m benchmarks [--json] [--only NAME…] [--quick]``; a miss is printed, and no error."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import peers, report
from benchmarks.measure import Effort

if TYPE_CHECKING:
    from collections.abc import Sequence

BENCHMARKS: Final = (
    *("cached", "herd", "requests", "signing", "sources", "startup", "memory", "storage"),
    *("hook", "scan", "history", "detection"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks asked for and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=BENCHMARKS)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")
    options = parser.parse_args(arguments)
    peers.silence()
    _forget_environment()
    effort = Effort(quick=options.quick)
    before = _facts(quick=options.quick)
    results = {name: _run(name, effort) for name in BENCHMARKS if name in options.only}
    facts = before | {"load after": _load()}
    if options.json:
        print(report.as_json(facts, results))
    else:
        report.show(facts, results)
    return int(any(result.broken for result in results.values()))


def _run(name: str, effort: Effort) -> report.Result:
    say = Progress(name)
    say("starting")
    began = time.perf_counter()
    try:
        result: report.Result = import_module(f"benchmarks.{name}").run(effort, say)
    except Exception as error:  # noqa: BLE001 - one that breaks must not lose the others' figures
        traceback.print_exc()
        result = report.Result(title=f"BROKEN: {type(error).__name__}", tables=(), broken=True)
    say.end()
    return replace(result, seconds=time.perf_counter() - began)


class Progress:
    """One line on stderr: rewritten on a terminal, one a benchmark elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        if self._live:
            sys.stderr.write(f"\r\x1b[K{self._name}: {text}")
        elif text == "starting":
            sys.stderr.write(f"{self._name} …\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _forget_environment() -> None:
    """Take out what a bare client would obey: keys, headers and proxies of the user's own."""
    for name in list(os.environ):
        if name.startswith("ANTHROPIC_") or name.lower().endswith("_proxy"):
            del os.environ[name]


def _facts(*, quick: bool) -> dict[str, object]:
    versions = {name: peers.version(name) or "not installed" for name in peers.MEASURED}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "run": "quick: too few rounds to quote" if quick else "full",
        "secretkit": peers.version("secretkit") or "not installed",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "load before": _load(),
        "peers": versions,
    }


def _load() -> str:
    """Give the load of the last minute: what else ran makes figures worse."""
    return f"{os.getloadavg()[0]:.2f}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
