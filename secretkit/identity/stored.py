"""Identities that somebody else keeps fresh: a file, a Kubernetes volume, any reference.

A reference covers much: ``vault:identity/oidc/token/ROLE#token`` is Vault's own OIDC token,
``command:NAME`` whatever a program prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretkit.core.ref import SecretRef
from secretkit.errors import ProviderError, RefError, SecretkitError
from secretkit.providers.file import FileProvider
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.secret import Secret
    from secretkit.identity.source import Issuing
    from secretkit.ports import Provider, ProviderContext

__all__ = ["StoredIdentity", "open_file", "open_kubernetes", "open_secret"]


class StoredIdentity:
    """Reads a token from a provider, anew each time. Thread-safe as the provider is."""

    def __init__(self, provider: Provider, *, at: SecretRef) -> None:
        self._provider = provider
        self._at = at
        self.ref = str(at)

    def token(self, *, timeout: timedelta) -> Secret:
        """Fetch it; raises like the provider."""
        try:
            return self._provider.fetch(self._at, timeout=timeout).secret
        except SecretkitError:
            raise
        except Exception as error:  # noqa: BLE001 - a provider may be third-party code
            failure = type(error).__name__
        raise ProviderError(
            f"{self.ref}: the provider failed with {failure}",
            ref=self.ref,
            hint="this is a defect of the provider; its message is withheld, it could hold a value",
        )


def open_file(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``path``: a file that somebody replaces before its token ends."""
    read = Options(table, type_name="file", known=("path", "audience"), noun="identity")
    return _filed(read, "path", context), read.text("audience", default=audience)


def open_kubernetes(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``token_file``: where a projected service account token is mounted.

    There is no default: the token every pod has is for the API server, and must not go elsewhere.
    https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken
    """
    read = Options(table, type_name="kubernetes", known=("token_file", "audience"), noun="identity")
    return _filed(read, "token_file", context), read.text("audience", default=audience)


def open_secret(
    table: Mapping[str, object], *, audience: str, context: ProviderContext
) -> tuple[Issuing, str]:
    """Take ``source``: a reference whose secret is the token."""
    read = Options(table, type_name="secret", known=("source", "audience"), noun="identity")
    at = read.ref("source")
    if at is None:
        raise read.wrong(
            "source", expected="a reference such as vault:identity/oidc/token/ci#token"
        )
    return (
        StoredIdentity(context.resolve(at.provider), at=at),
        read.text("audience", default=audience),
    )


def _filed(read: Options, key: str, context: ProviderContext) -> StoredIdentity:
    path = read.required(key, expected="the path of the file that holds the token")
    try:
        at = SecretRef("file", path)
    except RefError:
        at = None
    if at is None:
        raise read.wrong(key, expected="the path of a file, without control characters")
    # A token has no line break in it, and who writes it with echo means none.
    return StoredIdentity(FileProvider.open({"newline": "strip-one"}, context), at=at)
