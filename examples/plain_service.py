"""A service that keeps working while its key is changed: one client, made once.

Run it with ``python plain_service.py [CONFIG [BASE_URL]]`` and end it with SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

import anthropic

import secretkit

log = logging.getLogger("service")


def serve(client: anthropic.Anthropic, stop: threading.Event) -> int:
    """Ask again and again until told to stop; give how many answers there were."""
    answers = 0
    while not stop.wait(0.05):
        try:
            client.messages.create(
                model="claude-sonnet-5",
                max_tokens=16,
                messages=[{"role": "user", "content": "hello"}],
            )
        except anthropic.APIError as error:
            # A key change never ends here: the client renews its credential and sends again.
            log.warning("no answer: %s", type(error).__name__)
        else:
            answers += 1
    return answers


def main(config: str | None = None, base_url: str | None = None) -> None:
    """Open the broker once, at the start of the process, and close it at the end."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # Without CONFIG: SECRETKIT_CONFIG, or secretkit.toml in the user's configuration directory.
    with (
        secretkit.Broker.from_config(config) as broker,
        secretkit.claude.connect("claude", broker=broker, base_url=base_url) as client,
    ):
        broker.on_change("claude", lambda change: log.info("generation %d", change.generation))
        answers = serve(client, stop)
        log.info("%d answers, generation %d", answers, broker.lease("claude").generation)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request at INFO
    main(*sys.argv[1:3])
