"""Takes secrets out of log records, events and a child's output.

::

    logging.basicConfig(level="DEBUG")
    secretkit.redact.install()                  # the root logger's handlers
    structlog.configure(processors=[..., secretkit.redact.redact_processor, JSONRenderer()])

A net, not a licence: never pass a secret to a log. Two kinds of text are taken out: the live values
a :class:`Redactor` watches, in all the spellings logs use, and what the scanner's rules recognise.
"""

from __future__ import annotations

from secretkit.redact.record import RedactingFilter, install
from secretkit.redact.redactor import Redactor, default, redact_processor
from secretkit.redact.stream import StreamMasker
from secretkit.redact.watched import FAILED, MIN_LENGTH, REDACTED

__all__ = [
    "FAILED",
    "MIN_LENGTH",
    "REDACTED",
    "RedactingFilter",
    "Redactor",
    "StreamMasker",
    "default",
    "install",
    "redact_processor",
]
