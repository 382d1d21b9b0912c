"""chain: several providers asked in order. ``of = ["keyring", "env"]``, then ``NAME:path``.

Only a provider that could not be asked makes way for the next one. "Not there", "may not" and "no
answer in time" are answers: they stop the chain, because going on would hide that the intended
store is broken behind an old key in another.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.ref import SecretRef
from secretkit.errors import (
    ConfigError,
    ProviderError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.ports import Provider, Renewable, Revocable
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from secretkit.ports import Fetched, ProviderContext

__all__ = ["ChainProvider"]

_DEEPEST: Final = 8  # chains within chains; more than two is already hard to follow


@dataclass(frozen=True, slots=True)
class _Member:
    """A provider's name, and what it is asked for instead of the chain's own path."""

    provider: str
    path: str | None = None
    field: str | None = None
    version: str | None = None

    def ref(self, ref: SecretRef) -> SecretRef:
        return SecretRef(
            provider=self.provider,
            path=ref.path if self.path is None else self.path.replace("{path}", ref.path),
            field=self.field or ref.field,
            version=self.version or ref.version,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ChainProvider:
    """Asks its members in order within one deadline. Thread-safe as far as they are."""

    context: ProviderContext = field(repr=False)
    members: tuple[_Member, ...]
    _opened: dict[str, Provider] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from ``of``: names, references, or tables with ``provider`` and ``path``.

        ``{path}`` in a member's path stands for the path the chain is asked for.

        Raises:
            ConfigError: if ``of`` is missing or malformed.
        """
        read = Options(options, type_name="chain", known=("of",))
        return cls(context, tuple(_member(item, read) for item in read.items("of")))

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give what the first member answers that can be asked at all.

        Raises:
            ProviderUnavailableError: if none could be asked; says why for each.
            ConfigError: if the chain contains itself, or a member does not exist.
            SecretkitError: any other error of the first member that was asked.
        """
        deadline = Deadline(timeout, clock=self.context.clock)
        reasons: list[str] = []
        for number, member in enumerate(self.members):
            deadline.check(ref)
            try:
                found = self._provider(member).fetch(member.ref(ref), timeout=deadline.left)
            except ProviderUnavailableError as error:
                reasons.append(
                    f"{member.provider}: {error}" + (f" ({error.hint})" if error.hint else "")
                )
                continue
            if found.handle is None:
                return found
            return replace(found, handle=f"{number}:{found.handle}")
        raise ProviderUnavailableError(
            f"{ref}: none of {len(reasons)} providers could be asked: " + "; ".join(reasons),
            ref=str(ref),
            hint="make one of them work; its own hint stands in brackets after it",
        )

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Give a lease back to the member that granted it; safe to repeat.

        Raises:
            ProviderError: if the handle is not one of this chain's.
        """
        provider, inner = self._lessor(handle)
        if isinstance(provider, Revocable):
            provider.revoke(inner, timeout=timeout)

    def renew(self, handle: str, *, timeout: timedelta) -> datetime:
        """Let a lease last longer at the member that granted it; give the end it has now.

        Raises:
            SecretNotFoundError: if that member cannot renew, so that a new one is asked for.
            ProviderError: if the handle is not one of this chain's.
        """
        provider, inner = self._lessor(handle)
        if isinstance(provider, Renewable):
            return provider.renew(inner, timeout=timeout)
        raise SecretNotFoundError(
            "the member of this chain that granted the lease cannot renew one",
            hint="lease it again",
        )

    def _lessor(self, handle: str) -> tuple[Provider, str]:
        """Give the member that granted a lease, and its own handle."""
        number, _, inner = handle.partition(":")
        if not (number.isascii() and number.isdecimal()) or int(number) >= len(self.members):
            raise ProviderError(
                "this handle is not from this chain", hint="revoke it where it is from"
            )
        return self._provider(self.members[int(number)]), inner

    def _provider(self, member: _Member) -> Provider:
        """Resolve on first use: the members may be opened after the chain."""
        found = self._opened.get(member.provider)
        if found is None:
            found = self.context.resolve(member.provider)
            if isinstance(found, ChainProvider):
                self._refuse_cycle(found)
            self._opened[member.provider] = found
        return found

    def _refuse_cycle(self, inner: ChainProvider) -> None:
        for depth, chain in inner.chains(1):
            if chain is self or depth > _DEEPEST:
                names = ", ".join(member.provider for member in self.members)
                raise ConfigError(
                    f"a chain of {names} contains itself",
                    key_path="of",
                    hint="take the chain's own name out of 'of', also in the chains it names",
                )

    def chains(self, depth: int) -> Iterator[tuple[int, ChainProvider]]:
        """Give this chain and those within it, each with its depth, down to a bound."""
        yield depth, self
        if depth > _DEEPEST:
            return
        for member in self.members:
            try:
                found = self.context.resolve(member.provider)
            except ProviderUnavailableError:
                continue
            if isinstance(found, ChainProvider):
                yield from found.chains(depth + 1)


def _member(item: object, read: Options) -> _Member:
    if isinstance(item, str):
        return _named(item, read)
    if isinstance(item, dict):
        inner = Options(item, type_name="chain", known=("field", "path", "provider", "version"))
        made = _Member(
            provider=inner.text("provider"),
            path=inner.text("path") or None,
            field=inner.text("field") or None,
            version=inner.text("version") or None,
        )
    else:
        raise read.wrong("of", expected='names such as "env", or { provider = "env", path = "X" }')
    try:
        made.ref(SecretRef(made.provider, "path"))
    except RefError as error:
        raise ConfigError(
            f"a member of the chain is malformed: {error}", key_path="of", hint=error.hint
        ) from None
    return made


def _named(item: str, read: Options) -> _Member:
    try:
        ref = SecretRef.parse(item if ":" in item else f"{item}:path")
    except RefError:
        raise read.wrong(
            "of", expected='a provider\'s name such as "env", or a reference'
        ) from None
    if ":" not in item:
        return _Member(ref.provider)
    return _Member(ref.provider, ref.path, ref.field, ref.version)
