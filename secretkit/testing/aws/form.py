"""The form of an STS call: its parameters, and what a session is asked to be.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from secretkit.testing.aws.account import Grant
from secretkit.testing.aws.message import AwsRefusedError

if TYPE_CHECKING:
    from secretkit.testing.aws.account import Holder, Role
    from secretkit.testing.aws.message import Incoming

__all__ = [
    "LARGEST_POLICY",
    "bounded_seconds",
    "parameters",
    "session_duration",
    "session_grant",
    "session_name",
    "session_tags",
]

LARGEST_POLICY: Final = 2048
_SESSION: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_MOST_POLICIES, _MOST_TAGS = 10, 50
_SHORTEST, _LONGEST, _CHAINED = 900, 43_200, 3_600
_PLAIN: Final = {
    "Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Policy",
    "SerialNumber", "TokenCode", "SourceIdentity", "WebIdentityToken", "ProviderId",
    "SigningAlgorithm",
}  # fmt: skip
_MEMBER: Final = re.compile(
    r"(?:Tags\.member\.\d+\.(?:Key|Value)|(?:TransitiveTagKeys|Audience)\.member\.\d+"
    r"|PolicyArns\.member\.\d+\.arn)"
)


def parameters(request: Incoming) -> dict[str, str]:
    """Give the form's parameters, each once.

    Raises:
        AwsRefusedError: for one that comes twice or that the stand-in does not know.
    """
    text = request.body.decode("latin-1") if request.body else request.query
    pairs = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="replace")
    found = {name: value for name, value in pairs if not name.startswith("X-Amz-")}
    unknown = [one for one in found if one not in _PLAIN and not _MEMBER.fullmatch(one)]
    if unknown or len(dict(pairs)) != len(pairs) or found.get("Version") != "2011-06-15":
        raise AwsRefusedError("ValidationError", "a parameter is unknown, missing or given twice")
    return found


def session_name(form: dict[str, str]) -> str:
    """Give the session's name, or refuse it."""
    name = form.get("RoleSessionName", "")
    if not _SESSION.fullmatch(name):
        message = r"Value at 'roleSessionName' failed to satisfy: [\w+=,.@-]{2,64}"
        raise AwsRefusedError("ValidationError", message)
    return name


def session_duration(form: dict[str, str], role: Role, *, is_chained: bool) -> timedelta:
    """Give how long the session is to last, within what service, chain and role allow."""
    seconds = bounded_seconds(form, _CHAINED, shortest=_SHORTEST, longest=_LONGEST)
    if is_chained and seconds > _CHAINED:
        message = (
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
        raise AwsRefusedError("ValidationError", message)
    if seconds > role.longest.total_seconds():
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise AwsRefusedError("ValidationError", message)
    return timedelta(seconds=seconds)


def bounded_seconds(form: dict[str, str], usual: int, *, shortest: int, longest: int) -> int:
    """Give DurationSeconds within its bounds, ``usual`` if it is left out."""
    text = form.get("DurationSeconds", str(usual))
    seconds = int(text) if text.isdecimal() else -1
    if not shortest <= seconds <= longest:
        message = (
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to "
            f"satisfy constraint: Member must have value between {shortest} and {longest}"
        )
        raise AwsRefusedError("ValidationError", message)
    return seconds


def session_grant(form: dict[str, str], holder: Holder | None, *, has_mfa: bool) -> Grant:
    """Give what the session carries; a chain keeps its source identity and transitive tags."""
    policy = form.get("Policy", "")
    if len(policy) > LARGEST_POLICY:
        raise AwsRefusedError("PackedPolicyTooLarge", "Packed policy consumes more than 100%")
    if policy and not _is_policy(policy):
        raise AwsRefusedError("MalformedPolicyDocument", "The policy is not valid JSON.")
    most = {"PolicyArns.": _MOST_POLICIES, "Tags.": 2 * _MOST_TAGS}
    if any(sum(name.startswith(one) for name in form) > limit for one, limit in most.items()):
        raise AwsRefusedError("ValidationError", "at most 10 policies and 50 tags a session")
    before = Grant() if holder is None else holder.grant
    source = form.get("SourceIdentity", before.source_identity)
    kept = {name: before.tags[name] for name in before.transitive}
    tags = session_tags(form)
    if kept.keys() & tags.keys() or before.source_identity not in {"", source}:
        message = "a chain's transitive tags and source identity cannot be changed"
        raise AwsRefusedError("AccessDeniedException", message)
    named = [value for name, value in form.items() if name.startswith("TransitiveTagKeys.")]
    if set(named) - tags.keys():
        raise AwsRefusedError("ValidationError", "a transitive tag key has no tag")
    return Grant(
        policy=policy,
        tags=kept | tags,
        transitive=(*kept, *named),
        source_identity=source,
        mfa=has_mfa,
    )


def _is_policy(text: str) -> bool:
    try:
        policy = json.loads(text)
    except ValueError:
        return False
    return isinstance(policy, dict) and "Statement" in policy


def session_tags(form: dict[str, str]) -> dict[str, str]:
    """Give the tags by key."""
    keys = {name: value for name, value in form.items() if name.endswith(".Key")}
    return {key: form.get(f"{name[:-4]}.Value", "") for name, key in keys.items()}
