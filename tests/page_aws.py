"""AWS's stand-in for ``docs/aws.md``: the page's tables are led to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pages import KEY, Session
from secretkit.testing.aws import ACCOUNT, AwsStub, Trust

REGION = "us-east-1"


@contextmanager
def aws(session: Session) -> Iterator[Callable[[], int]]:
    """Give what the page says is there: a profile, a role, a secret and a parameter."""
    with AwsStub(regions=(REGION, "us-west-2")) as stub:
        user = stub.accounts.add_user("you")
        trust = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/you",))
        stub.accounts.add_role(f"arn:aws:iam::{ACCOUNT}:role/reader", trust=trust)
        for region in (REGION, "us-west-2"):
            stub.secrets.add("claude/production", json.dumps({"key": KEY}), region=region)
        stub.parameters.add("/claude/production/key", KEY, region=REGION)
        files = session.home / ".aws"
        files.mkdir(mode=0o700)
        (files / "credentials").write_text(
            f"[work]\naws_access_key_id = {user.access_key_id}\n"
            f"aws_secret_access_key = {user.secret.reveal()}\n"
        )
        # For boto3, which is not ours; secretkit reads none of these.
        session.environ |= {"AWS_ENDPOINT_URL": stub.url(), "AWS_DEFAULT_REGION": REGION}

        def placed(body: str) -> str:
            body = re.sub("(?m)^assume_role =", f'endpoint = "{stub.url()}"\\g<0>', body)
            body = body.replace('"assume_role', '"\nassume_role')
            west = f'replica_endpoints = {{ us-west-2 = "{stub.url("us-west-2")}" }}'
            body = body.replace('replicas = ["us-west-2"]', f'replicas = ["us-west-2"]\n{west}')
            led = f'endpoint = "{stub.url()}"\nsts_endpoint = "{stub.url()}"\n'
            return re.sub('(?m)^type = "aws-[a-z-]+"\n', rf"\g<0>{led}", body)

        session.placed = placed
        yield lambda: 0
        assert stub.count("sts:AssumeRole") >= 3
