"""A strict stand-in for AWS: STS, Secrets Manager, Parameter Store and Claude on AWS, on loopback.

::

    with AwsStub() as aws:
        base = aws.accounts.add_user("broker")
        aws.accounts.add_role(
            "arn:aws:iam::123456789012:role/reader",
            trust=Trust(principals=("arn:aws:iam::123456789012:user/broker",), external_id="x7"),
        )
        sts = boto3.client("sts", endpoint_url=aws.url(), region_name="us-east-1", ...)

Every signature is verified with the secret that was issued, sessions end on the clock given, and
where AWS's behaviour is not documented the stand-in is the stricter one. It does not read IAM
policies: what a caller may not do is told to :meth:`AwsStub.deny`.
"""

from __future__ import annotations

from secretkit.testing.aws.account import ACCOUNT, Role, Trust
from secretkit.testing.aws.fault import DROP, Fault
from secretkit.testing.aws.server import AwsStub, Call
from secretkit.testing.aws.webtoken import SigningKey

__all__ = ["ACCOUNT", "DROP", "AwsStub", "Call", "Fault", "Role", "SigningKey", "Trust"]
