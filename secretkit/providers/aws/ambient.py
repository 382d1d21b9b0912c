"""Ambient: what botocore finds by itself, where the configuration asks for that.

Environment, AWS's own files with SSO, a web identity, ECS, EKS or EC2: botocore's chain in its
order (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html). It reads this
process's environment and has deadlines of its own, so it runs in a thread that is left behind
when ours is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secretkit.core.credential import AwsCredentials
from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.providers.aws.origin import Anew, check_life
from secretkit.providers.worker import Worker

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.ports import Clock

__all__ = ["Ambient"]

_EXTRA: Final = 'pip install "secretkit[aws]"'


class Ambient(Anew):
    """botocore's chain, or one profile of AWS's files. Thread-safe; a new session each time."""

    def __init__(self, profile: str, *, ref: str, clock: Clock) -> None:
        self._profile = profile
        self._ref = ref
        self._clock = clock
        self._worker: Worker[AwsCredentials | ProviderError] = Worker(clock=clock)
        self._method = ""

    @property
    def method(self) -> str:
        """Which link of the chain it was, as botocore calls it, once it was asked."""
        name = f"profile {self._profile}" if self._profile else "default"
        return f"{name}: {self._method}" if self._method else name

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Ask the chain once.

        Raises:
            ProviderUnavailableError: if botocore is not installed, or finds nothing.
            ProviderTimeoutError: if the chain hangs, or still does since an earlier call.
            ProviderError: if botocore fails; its text is withheld.
        """
        if self._worker.stuck:
            raise self._late()
        try:
            found = self._worker.run(self._ask, seconds=timeout.total_seconds())
        except TimeoutError:
            found = self._late()
        except RuntimeError:
            found = self._failed("an unexpected error")
        if isinstance(found, ProviderError):
            raise found
        return check_life(found, ref=self._ref, clock=self._clock)

    def _ask(self) -> AwsCredentials | ProviderError:
        try:
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - the extra
            from botocore.session import Session  # noqa: PLC0415 - see above
        except ImportError:
            return ProviderUnavailableError(
                f"{self._ref}: base is AWS's own chain, and boto3 is not installed",
                ref=self._ref,
                hint=_EXTRA,
            )
        try:
            session: Any = Session(profile=self._profile or None)
            # Else AWS_ENDPOINT_URL_STS takes a web identity's token wherever it says.
            session.set_config_variable("ignore_configured_endpoint_urls", value=True)
            found: Any = session.get_credentials()
            frozen: Any = None if found is None else found.get_frozen_credentials()
        except BotoCoreError as error:
            return self._failed(type(error).__name__)
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            return ProviderUnavailableError(
                f"{self._ref}: {self.method} gives no credentials",
                ref=self._ref,
                hint="log in (aws sso login), or name another base; aws configure list shows more",
            )
        self._method = str(found.method)
        # RefreshableCredentials tell their end in no public name; without it ours would never end.
        ends_at = getattr(found, "_expiry_time", None)
        token = Secret(frozen.token) if frozen.token else None
        try:
            return AwsCredentials(frozen.access_key, Secret(frozen.secret_key), token, ends_at)
        except SecretError as error:
            return self._failed(str(error))

    def _late(self) -> ProviderTimeoutError:
        return ProviderTimeoutError(
            f"{self._ref}: AWS's own chain of credentials did not answer in time",
            ref=self._ref,
            hint="name a base that is there; outside of AWS the metadata service never answers",
        )

    def _failed(self, what: str) -> ProviderError:
        return ProviderError(
            f"{self._ref}: {self.method}: botocore gives up ({what})",
            ref=self._ref,
            hint="aws configure list, or aws sts get-caller-identity, says why",
        )
