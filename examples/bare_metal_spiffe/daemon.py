"""A daemon on a host of your own: a SPIFFE agent says who it is, and Claude gives it a token.

``daemon.service`` beside this file starts it. There is no key on the host: the agent knows the
process by its user, and asks its server for a new JWT-SVID at each exchange.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

import anthropic

import secretkit

log = logging.getLogger("daemon")


def main(config: str) -> None:
    """Ask until told to stop, and say each time the token is another."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with (
        secretkit.Broker.from_config(config) as broker,
        secretkit.claude.connect("claude", broker=broker) as client,
    ):
        broker.on_change("claude", lambda change: log.info("token %d", change.generation))
        while not stop.wait(0.2):
            try:
                with client.messages.stream(
                    model="claude-sonnet-5",
                    max_tokens=16,
                    messages=[{"role": "user", "content": "hello"}],
                ) as stream:
                    log.info("answered with %d characters", len(stream.get_final_text()))
            except anthropic.APIError as error:
                log.warning("no answer: %s", type(error).__name__)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request at INFO
    main(*sys.argv[1:2])
