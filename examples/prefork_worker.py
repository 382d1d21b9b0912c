"""Prefork: the broker is made once, before the fork, and stays right in every worker.

Run it with ``python prefork_worker.py [CONFIG [BASE_URL]]`` and end it with SIGTERM.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading

import secretkit

WORKERS = 2


def work(broker: secretkit.Broker, base_url: str | None) -> None:
    """Run in a child: answer from the parent's lease, renew with threads of its own."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    answers = 0
    # The client is made after the fork: two processes must not share one TCP connection.
    with broker, secretkit.claude.connect("claude", broker=broker, base_url=base_url) as client:
        while not stop.wait(0.05):
            client.messages.create(
                model="claude-sonnet-5",
                max_tokens=16,
                messages=[{"role": "user", "content": "hello"}],
            )
            answers += 1
        lease = broker.lease("claude")
        print(f"worker {os.getpid()}: {answers} answers, generation {lease.generation}")


def main(config: str | None = None, base_url: str | None = None) -> int:
    """Warm up, fork, pass the end on to the workers, and wait for them."""
    # The fork start method on purpose: with spawn each worker would open a broker of its own.
    fork = multiprocessing.get_context("fork")
    with secretkit.Broker.from_config(config) as broker:
        broker.lease("claude")  # one call to the store for all; an error shows before the fork
        workers = [fork.Process(target=work, args=(broker, base_url)) for _ in range(WORKERS)]

        def end(*_: object) -> None:
            for worker in workers:
                worker.terminate()

        for worker in workers:
            worker.start()
        signal.signal(signal.SIGTERM, end)
        for worker in workers:
            worker.join()
        print(f"parent {os.getpid()}: generation {broker.lease('claude').generation}")
    return int(any(worker.exitcode for worker in workers))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
