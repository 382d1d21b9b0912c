"""Ask Claude in a GitHub Actions job that has no secret: the job's own OIDC token is its identity.

``workflow.yaml`` beside this file runs it. GitHub is asked for a token at each exchange.
"""

from __future__ import annotations

import sys

import secretkit


def main(config: str, question: str) -> None:
    """Print the answer."""
    with (
        secretkit.Broker.from_config(config) as broker,
        secretkit.claude.connect("claude", broker=broker) as client,
    ):
        message = client.messages.create(
            model="claude-sonnet-5",
            max_tokens=256,
            messages=[{"role": "user", "content": question}],
        )
    for block in message.content:
        if block.type == "text":
            print(block.text)


if __name__ == "__main__":
    main(sys.argv[1], " ".join(sys.argv[2:]))
