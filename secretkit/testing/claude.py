"""ClaudeStub: a strict stand-in for the Claude API on loopback, with a log to compute from.

It shows what a client sends and how it takes an answer. It does not show what the real service
accepts: where its behaviour is not documented, the stand-in is the stricter one.
"""

from __future__ import annotations

from secretkit.testing.stub.face import ClaudeStub
from secretkit.testing.stub.limits import RateLimits
from secretkit.testing.stub.log import LogRecord, read_log, select, summarise
from secretkit.testing.stub.script import Step

__all__ = ["ClaudeStub", "LogRecord", "RateLimits", "Step", "read_log", "select", "summarise"]
