"""Faults: our errors in the shapes the SDK lets through.

The SDK wraps a stranger's exception in APIConnectionError and tries again. It raises its own
CredentialsError at once and retries its own RetryableError, so ours are both: caught as a
SecretkitError or as the SDK's. None of them holds a request.
"""

from __future__ import annotations

import anthropic

from secretkit.errors import SecretkitError

__all__ = ["CredentialDelayError", "CredentialFaultError", "OriginError", "translated"]


class CredentialFaultError(SecretkitError, anthropic.CredentialsError):
    """There is no credential, and asking again will not help."""


class CredentialDelayError(SecretkitError, anthropic.RetryableError):
    """There is no credential now; the SDK tries again while it has retries left."""

    retryable = True


class OriginError(SecretkitError, anthropic.CredentialsError):
    """A request to another place than the credential is meant for; nothing of it was sent."""


def translated(error: SecretkitError, *, name: str) -> CredentialFaultError | CredentialDelayError:
    """Give what to raise to the SDK when the broker could not serve ``name``."""
    kind = CredentialDelayError if error.retryable else CredentialFaultError
    return kind(f"no credential {name!r} for Claude: {error}", hint=error.hint)
