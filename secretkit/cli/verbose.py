"""``-v``: our own log on stderr, through the redacting filter."""

from __future__ import annotations

import logging

from secretkit.redact import install

__all__ = ["log_to_stderr"]


def log_to_stderr() -> None:
    """Show what secretkit logs. Only our own loggers: a library's may not know what is secret."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    install(handler)
    logger = logging.getLogger("secretkit")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
