"""What a provider's author fills in, and what the tests of the contract share."""

# ruff: noqa: S101 - these are tests, which pytest rewrites

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

import pytest

from secretkit.ports import Listable, Provider, Writable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from secretkit.core.ref import SecretRef
    from secretkit.ports import Fetched

__all__ = ["AWKWARD", "LIMIT", "ContractHooks", "in_threads"]

AWKWARD: Final[Mapping[str, str]] = {
    "plain": "correct-horse",
    "unicode": "pässwörd-鍵-\N{KEY}",
    "long": "0123456789abcdef" * 2_000,
    "leading spaces": "  two before",
    "trailing spaces": "two after  ",
    "newlines inside": "-----BEGIN X-----\nabc\n\ndef\n-----END X-----",
    "newline at the end": "value\n",
    "carriage returns": "one\r\ntwo\r\n",
    "tab": "\tone\ttwo\t",
    "percent": "100%25%s%(x)s%",
    "hash": "#one #two",
    "equals": "a=b=c=",
    "quotes": "\"double\" 'single' `back`",
    "shell": "$HOME ${HOME} $(id) `id` ; | & > < * ? ~",
    "backslash": "C:\\new\\table\\\\x",
    "json": '{"a": "b"}',
    "at and colon": "user@host:1/path",
}
"""Values that careless stores repair, cut or interpret."""

_THREADS: Final = 20
LIMIT: Final = 30.0  # seconds after which a thread counts as hung; never reached when all is well


class ContractHooks:
    """Three methods to fill in, and what the store cannot do."""

    timeout: ClassVar[timedelta] = timedelta(seconds=15)
    """What each fetch is given."""
    unsupported: ClassVar[Collection[str]] = ()
    """Keys of AWKWARD that the store has no way to hold, and refuses."""
    keeps_versions: ClassVar[bool] = True
    """Whether a Writable store gives a version that ``expected_version`` can name later."""

    def make_provider(self) -> Provider:
        """Give a provider over this test's store; called once or more per test."""
        raise NotImplementedError

    def put(self, name: str, value: str) -> None:
        """Store ``value`` so that ``ref(name)`` finds it; names are lower-case letters."""
        raise NotImplementedError

    def ref(self, name: str) -> SecretRef:
        """Give the reference of a name, whether it is stored or not."""
        raise NotImplementedError

    def malformed(self) -> Sequence[SecretRef]:
        """Give references that this provider must refuse, in addition to the general ones."""
        return ()

    def stalled(self, name: str) -> AbstractContextManager[object] | None:
        """Give a context in which the store does not answer for ``name``, if that can be made."""
        del name
        return None

    def _fetch(self, name: str) -> Fetched:
        return self.make_provider().fetch(self.ref(name), timeout=self.timeout)

    def _value(self, name: str) -> str:
        found = self.make_provider().fetch(self.ref(name), timeout=self.timeout)
        return found.secret.reveal()

    def _writable(self) -> Writable:
        provider = self.make_provider()
        if not isinstance(provider, Writable):
            pytest.skip("not Writable")
        return provider

    def _listable(self) -> Listable:
        provider = self.make_provider()
        assert isinstance(provider, Listable)
        return provider


def in_threads(work: Callable[[int], object]) -> list[object]:
    """Run ``work`` in 20 threads that start together; an error becomes its text."""
    outcomes: list[object] = [None] * _THREADS
    gate = threading.Barrier(_THREADS)

    def run(number: int) -> None:
        gate.wait(LIMIT)
        try:
            outcomes[number] = work(number)
        except Exception as error:  # noqa: BLE001 - the assertion shows it
            outcomes[number] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "a thread hangs"
    return outcomes
