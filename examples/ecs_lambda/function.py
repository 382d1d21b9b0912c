"""Claude on Amazon Bedrock from a Lambda function or an ECS task, by the role that each has.

Lambda calls ``handler``; an ECS task runs ``python function.py QUESTION``. ``template.yaml`` has
the roles: they may invoke one model, and nothing else.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import secretkit

if TYPE_CHECKING:
    import anthropic

CONFIG = Path(__file__).with_name("secretkit.toml")
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@cache
def client() -> anthropic.AnthropicBedrock:
    """Make the client at the first request, and keep it while the sandbox or the task lives."""
    broker = secretkit.Broker.from_config(CONFIG)
    return secretkit.claude.connect("bedrock", platform="bedrock", broker=broker)


def ask(question: str) -> str:
    """Give Claude's answer."""
    message = client().messages.create(
        model=MODEL, max_tokens=256, messages=[{"role": "user", "content": question}]
    )
    return "".join(block.text for block in message.content if block.type == "text")


def handler(event: dict[str, str], context: object) -> dict[str, str]:  # noqa: ARG001 - Lambda's
    """Answer one invocation."""
    return {"answer": ask(event["question"])}


if __name__ == "__main__":
    print(ask(" ".join(sys.argv[1:])))
