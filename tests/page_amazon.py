"""AWS's stand-in for ``docs/claude-on-aws.md``: the page's configuration is led to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pages import Session
from secretkit.testing.aws import ACCOUNT, AwsStub, Trust

REPLY = "Hello! How can I help you today?"


@contextmanager
def amazon(session: Session) -> Iterator[Callable[[], int]]:
    """Give what counts the answers; a user's keys are in the environment, as AWS's tools want."""
    with AwsStub(regions=("us-west-2",), reply=REPLY) as aws:
        user = aws.accounts.add_user("you")
        trust = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/you",))
        aws.accounts.add_role(f"arn:aws:iam::{ACCOUNT}:role/claude", trust=trust)
        session.environ |= {
            "AWS_ACCESS_KEY_ID": user.access_key_id,
            "AWS_SECRET_ACCESS_KEY": user.secret.reveal(),
            "ANTHROPIC_BEDROCK_BASE_URL": aws.url(),  # for the program that is not ours
        }
        at = f'endpoint = "{aws.url()}"\nbase_url = "{aws.url()}"\nassume_role ='
        session.placed = lambda body: re.sub("(?m)^assume_role =", at, body)
        yield lambda: sum(call.status == 200 for call in aws.calls)
        assert aws.count("bedrock:InvokeModel") == 2
        assert aws.count("bedrock:InvokeModelWithResponseStream") == 1
        assert aws.count("sts:AssumeRole") >= 2
