"""A service in Kubernetes that has no key: its service account's token buys short-lived ones.

``deployment.yaml`` beside this file starts it. The token is written anew by the kubelet, read anew
for each exchange, and good for Claude alone.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading

import anthropic

import secretkit

log = logging.getLogger("app")


def main(config: str | None = None) -> None:
    """Ask until Kubernetes says to end: SIGTERM, and then 30 seconds."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with (
        secretkit.Broker.from_config(config) as broker,
        secretkit.claude.connect("claude", broker=broker) as client,
    ):
        while not stop.wait(1):
            try:
                message = client.messages.create(
                    model="claude-sonnet-5",
                    max_tokens=16,
                    messages=[{"role": "user", "content": "hello"}],
                )
            except anthropic.APIError as error:
                log.warning("no answer: %s", type(error).__name__)
            else:
                log.info("answered with %d tokens", message.usage.output_tokens)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request at INFO
    main(*sys.argv[1:2])
