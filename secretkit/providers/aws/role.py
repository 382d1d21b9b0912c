"""Role: assumes roles at STS, and looks whether the answer is for the role that was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from secretkit.core.credential import AwsCredentials
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
    RefError,
    SecretError,
)
from secretkit.providers.aws.document import read_moment
from secretkit.providers.aws.markup import read_markup
from secretkit.providers.aws.reason import (
    Meanings,
    clock_hint,
    explained,
    refusal_of,
    relabelled,
)
from secretkit.providers.aws.service import open_service
from secretkit.providers.plain_file import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from secretkit.core.message import Reply
    from secretkit.ports import IdentitySource, ProviderContext
    from secretkit.providers.aws.hop import Hop
    from secretkit.providers.aws.reason import Refusal
    from secretkit.providers.deadline import Deadline

__all__ = ["RoleStep"]

_OK: Final = 200
_POLICY: Final = 2048  # characters of a session policy, AssumeRole's "Policy"
_HINTS: Final = {
    "MalformedPolicyDocument": "correct the file that session_policy names: it is no IAM policy",
    "PackedPolicyTooLarge": "shorten session_policy, policy_arns and tags: together they are too "
    "large",
    "RegionDisabled": "activate STS for this region in the account, or name another as region",
    "ValidationError": "look at duration (a chained role lasts 1h at most, and no role longer than "
    "its maximum), session_name and tags",
    "IDPRejectedClaim": "the identity provider refuses this identity; it may be expired or revoked",
    "IDPCommunicationError": "STS cannot fetch the keys of the identity's issuer; it is asked "
    "again later",
    "InvalidIdentityToken": "see that IAM has an OIDC provider for the identity's issuer, with "
    "audience sts.amazonaws.com",
    "IdentityDenied": "the role's trust policy has to allow sts:AssumeRoleWithWebIdentity to the "
    "identity's issuer, for the aud and sub of its token",
}
_MEANINGS: Final = Meanings(
    hints=_HINTS,
    denied=frozenset({"IDPRejectedClaim", "InvalidIdentityToken", "IdentityDenied"}),
)


class RoleStep:
    """One hop: asks STS for its session. Thread-safe; keeps nothing."""

    def __init__(
        self, hop: Hop, *, endpoint: str, serial: str, ref: str, context: ProviderContext
    ) -> None:
        self.hop = hop
        self.service = open_service("sts", region=hop.region, endpoint=endpoint, context=context)
        self._serial = serial
        self._ref = ref
        self._context = context

    def assume(self, credentials: AwsCredentials, deadline: Deadline) -> AwsCredentials | Refusal:
        """AssumeRole, signed by ``credentials``; a refusal is given back."""
        form: dict[str, str | Secret] = {"Action": "AssumeRole", **self.hop.signed_form()}
        form |= self._policy() | self._external_id(deadline) | self._second_factor()
        return self._session(form, credentials, deadline)

    def assume_as(self, identity: IdentitySource, deadline: Deadline) -> AwsCredentials | Refusal:
        """AssumeRoleWithWebIdentity with a fresh assertion; it is not signed."""
        try:
            assertion = identity.assertion(timeout=deadline.left)
        except ProviderError as error:
            raise relabelled(error, ref=self._ref) from None
        form: dict[str, str | Secret] = {
            "Action": "AssumeRoleWithWebIdentity",
            **self.hop.form(),
            **self._policy(),
            "WebIdentityToken": assertion.secret,
        }
        found = self._session(form, None, deadline)
        if not isinstance(found, AwsCredentials) and found.is_stale:
            raise ProviderError(
                f"{self._ref}: STS says that the identity {identity.ref} is expired",
                ref=self._ref,
                hint=clock_hint(found.behind, now=self._context.clock.now()),
            )
        return found if isinstance(found, AwsCredentials) else _understood(found)

    def taken(self, found: AwsCredentials | Refusal) -> AwsCredentials:
        """Give the session; raise what a refusal means."""
        if isinstance(found, AwsCredentials):
            return found
        raise explained(
            found,
            ref=self._ref,
            what=f"STS ({self.hop.role_arn})",
            now=self._context.clock.now(),
            meanings=_MEANINGS,
        )

    def _session(
        self,
        form: Mapping[str, str | Secret],
        credentials: AwsCredentials | None,
        deadline: Deadline,
    ) -> AwsCredentials | Refusal:
        asked_at = self._context.clock.now()
        reply = self.service.form(
            form, credentials=credentials, ref=self._ref, timeout=deadline.left
        )
        if reply.status != _OK:
            return refusal_of(reply, now=self._context.clock.now())
        found = _session_in(reply, f"{form['Action']}Result", self.hop, asked_at)
        if not isinstance(found, AwsCredentials):
            raise self._wrong(found, reply)
        if found.expires_at is not None and found.expires_at <= self._context.clock.now():
            raise self._wrong("a session that has ended", reply)
        return found

    def _wrong(self, what: str, reply: Reply) -> ProviderError:
        """Give the error for an answer that must not be used."""
        now = self._context.clock.now()
        message = f"{self._ref}: STS answers with {what}; nothing of it is used"
        if what.startswith("a session of"):
            return AccessDeniedError(
                message, ref=self._ref, hint="look who answers at the address of STS: an endpoint "
                "in the configuration, a proxy, DNS",
            )  # fmt: skip
        hint = "look whether the endpoint is STS itself"
        if "ended" in what:
            hint = clock_hint(refusal_of(reply, now=now).behind, now=now)
        return ProviderError(message, ref=self._ref, hint=hint)

    def _policy(self) -> dict[str, str]:
        """Read the session policy, each time, and leave out its white space."""
        name = self.hop.policy_file
        if not name:
            return {}
        try:
            path = Path(locate(name, ref=None, context=self._context))
            with path.open("rb") as file:
                policy = json.loads(file.read(16 * _POLICY))
        except (OSError, RefError, ValueError, RecursionError) as error:
            policy, reason = None, type(error).__name__
        else:
            reason = "it is no JSON object"
        if not isinstance(policy, dict):
            raise ConfigError(
                f"{self._ref}: the session policy {name} cannot be read ({reason})",
                key_path="session_policy",
                hint="it is an IAM policy document, in JSON",
            )
        return {"Policy": json.dumps(policy, separators=(",", ":"))}

    def _external_id(self, deadline: Deadline) -> dict[str, Secret]:
        at = self.hop.external_id
        if at is None:
            return {}
        try:
            fetched = self._context.resolve(at.provider).fetch(at, timeout=deadline.left)
        except ProviderError as error:
            raise relabelled(error, ref=self._ref) from None
        return {"ExternalId": fetched.secret}

    def _second_factor(self) -> dict[str, str | Secret]:
        if not self._serial:
            return {}
        ask: Callable[[str], Secret] | None = self._context.prompt
        if ask is None:
            raise ProviderUnavailableError(
                f"{self._ref}: {self._serial} wants a code, and nobody is there to be asked",
                ref=self._ref,
                hint="run it in a terminal, with --timeout 60s; a service assumes a role without "
                "mfa_serial",
            )
        return {"SerialNumber": self._serial, "TokenCode": ask(f"Code of {self._serial}")}


def _understood(refusal: Refusal) -> Refusal:
    """Tell apart what STS gives one code: that it did not reach the issuer denies nothing.

    https://repost.aws/knowledge-center/iam-sts-invalididentitytoken
    """
    if refusal.code == "InvalidIdentityToken" and "retrieve verification key" in refusal.message:
        return replace(refusal, meaning="IDPCommunicationError")
    return replace(refusal, meaning="IdentityDenied" if refusal.code == "AccessDenied" else "")


def _session_in(reply: Reply, result: str, hop: Hop, asked_at: datetime) -> AwsCredentials | str:
    """Read the session of the role that was asked for, or say what it is instead."""
    found = read_markup(reply.body) or {}
    arn = found.get(f"{result}/AssumedRoleUser/Arn", "")
    values = [
        found.get(f"{result}/Credentials/{name}", "")
        for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
    ]
    stated = read_moment(values[3])
    if not all(values) or not arn or stated is None:
        return "something that is no session"
    if arn != hop.session_arn:
        return "a session of another role"
    # Counted from when we asked, so that a clock that is behind does not stretch it.
    ends_at = min(stated, asked_at + hop.duration)
    try:
        return AwsCredentials(values[0], Secret(values[1]), Secret(values[2]), ends_at)
    except SecretError:
        return "credentials that cannot sign"
