"""Each AWS policy with its job, and with what it has to refuse."""

from __future__ import annotations

from collections.abc import Callable

from policies import case, job, model_case

Job = tuple[Callable[[job.Desk], None], Callable[[], case.Cases]]
POLICIES: dict[str, Job] = {
    "broker-read": (job.read_of_the_broker, case.broker_read),
    "rotator-secretsmanager": (job.rotation_in_secrets_manager, case.rotator_secretsmanager),
    "rotator-iam-keys": (job.rotation_of_access_keys, case.rotator_iam_keys),
    "rotator-bedrock-keys": (job.rotation_of_bedrock_keys, case.rotator_bedrock_keys),
    "kms-envelope": (job.envelope, case.kms_envelope),
    "bedrock-invoke": (job.calls_of_claude, model_case.bedrock_invoke),
    "bedrock-mantle-invoke": (job.calls_of_mantle, model_case.bedrock_mantle_invoke),
    "claude-on-aws-invoke": (job.calls_on_aws, model_case.claude_on_aws_invoke),
}
