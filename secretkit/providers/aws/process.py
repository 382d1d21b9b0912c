"""Process: a program that prints credentials, as ``credential_process`` in AWS's own files.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html

``process`` is a list; there is no shell. What the program writes to stderr is counted and not
shown: helpers print keys there when they fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretError,
)
from secretkit.providers.aws.document import read_credentials
from secretkit.providers.aws.origin import Anew, check_life
from secretkit.providers.child import MAX_OUTPUT, Child
from secretkit.providers.deadline import Deadline
from secretkit.providers.running import Running

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.core.credential import AwsCredentials
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext
    from secretkit.providers.child import Ended

__all__ = ["Process"]

# What helpers of AWS need to find their files, a browser's session and the way out.
_PASSED: Final = (
    *("PATH", "HOME", "LANG", "USER", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"),
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "HTTPS_PROXY"),
    "SECRETKIT_CREDENTIAL_PROCESS",  # by which our own command finds that it runs itself
)
_RUNNING: Final = Running()


class Process(Anew):
    """Runs one program per call, in a process group of its own. Thread-safe."""

    def __init__(self, argv: tuple[str, ...], *, ref: str, context: ProviderContext) -> None:
        self._argv = argv
        self._ref = ref
        self._context = context
        self.method = f"process {argv[0]}"

    def credentials(self, *, timeout: timedelta) -> AwsCredentials:
        """Run it once; at the deadline its whole process group is ended.

        Raises:
            ProviderUnavailableError: if the program is not there or cannot be run.
            ProviderTimeoutError: if it did not end in time.
            ProviderError: if it failed, printed too much, or its credentials are over.
            SecretError: if what it printed are no credentials.
        """
        deadline = Deadline(timeout, clock=self._context.clock)
        ended = self._ended(deadline)
        if ended.code or ended.problem:
            raise self._failure(ended)
        if not isinstance(ended.output, Secret):
            raise ended.output
        found = read_credentials(ended.output, ref=self._ref, versioned="required")
        if isinstance(found, SecretError):
            raise found
        return check_life(found, ref=self._ref, clock=self._context.clock)

    def _ended(self, deadline: Deadline) -> Ended:
        environ = self._context.environ
        passed = {name: environ[name] for name in _PASSED if name in environ}
        try:
            program = _RUNNING.start(self._argv, cwd=self._context.config_dir or "/", env=passed)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
        else:
            at = SecretRef("process", self._argv[0])
            try:
                return Child(program).collect(deadline=deadline, ref=at, newline="keep")
            finally:
                _RUNNING.ended(program)
        raise ProviderUnavailableError(
            f"{self._ref}: the program {self._argv[0]!r} cannot be started ({reason.lower()})",
            ref=self._ref,
            hint=f"install it, or write its whole path; found on PATH: which {self._argv[0]}",
        )

    def _failure(self, ended: Ended) -> SecretkitError:
        if ended.problem == "timeout":
            return ProviderTimeoutError(
                f"{self._ref}: {self._argv[0]!r} did not end in time and was killed",
                ref=self._ref,
                hint="run it by hand: it may wait for a login",
            )
        if ended.problem:
            return ProviderError(
                f"{self._ref}: {self._argv[0]!r} printed more than {MAX_OUTPUT} bytes",
                ref=self._ref,
                hint="it is to print one JSON object and nothing else",
            )
        how = f"exit code {ended.code}" if ended.code > 0 else f"signal {-ended.code}"
        return ProviderError(
            f"{self._ref}: {self._argv[0]!r} ended with {how}; "
            f"{ended.stderr_bytes} bytes of its messages are not shown",
            ref=self._ref,
            hint=f"run it by hand to see why: {self._argv[0]}",
        )
