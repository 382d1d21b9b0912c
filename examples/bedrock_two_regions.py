"""Claude on Amazon Bedrock in two regions: the second answers while the first cannot.

Run it with ``python bedrock_two_regions.py [CONFIG [URL URL]]``; end it with SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import ExitStack

import anthropic

import secretkit

log = logging.getLogger("service")

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REGIONS = ("us-west-2", "us-east-1")  # in order; name only those that your data may go to


def ask(clients: dict[str, anthropic.AnthropicBedrock], question: str) -> str:
    """Give the region that answered."""
    for region, client in clients.items():
        try:
            client.messages.create(
                model=MODEL, max_tokens=16, messages=[{"role": "user", "content": question}]
            )
        except anthropic.APITimeoutError:
            raise  # it may be at work, and be billed: asking elsewhere is for you to decide
        except (anthropic.APIConnectionError, anthropic.InternalServerError) as error:
            log.warning("%s: %s", region, type(error).__name__)
        else:
            return region
    raise ConnectionError("no region answers")


def main(config: str | None = None, *urls: str) -> None:
    """Make one client for each region, once: a client signs for its own, all with one role."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as opened, secretkit.Broker.from_config(config) as broker:
        clients = {}
        for region, url in zip(REGIONS, urls or [None, None], strict=True):
            clients[region] = secretkit.claude.connect(
                "bedrock", platform="bedrock", region=region, base_url=url, broker=broker
            ).with_options(max_retries=0)  # the next region is the next try
            opened.enter_context(clients[region])
        while not stop.wait(0.05):
            log.info("answered by %s", ask(clients, "hello"))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request at INFO
    main(*sys.argv[1:])
