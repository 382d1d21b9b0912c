"""Key sources: what opens a local store. Each wraps and unwraps the store's data key.

A source is a small Protocol, so that a KMS or a transit engine, which never gives its key away,
can be one too.
"""

from __future__ import annotations

import binascii
import os
from typing import TYPE_CHECKING, Final, Protocol

from secretkit.core.record import record
from secretkit.core.secret import Secret
from secretkit.errors import (
    ConfigError,
    IntegrityError,
    LedgerError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.providers import ownership
from secretkit.providers.header import DAMAGED, DAMAGED_HINT, WrappedKey, canonical
from secretkit.providers.sealing import KEY_BYTES, SealingKey, frame, unwrap, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Argon2Cost", "KeyFile", "KeySource", "KeyringKey", "Passphrase", "new_key_text"]


class KeySource(Protocol):
    """Wraps a store's data key under a key that the store's file does not hold."""

    @property
    def kind(self) -> str:
        """The name written in the store's header."""
        ...

    def wrap(self, dek: SealingKey, *, context: bytes) -> WrappedKey:
        """Seal ``dek``, bound to ``context``; raises like :meth:`unwrap`."""
        ...

    def unwrap(self, wrapped: WrappedKey, *, context: bytes) -> SealingKey:
        """Open what :meth:`wrap` sealed.

        Raises:
            IntegrityError: if it does not open; whether key or bytes are wrong is not told.
            ProviderUnavailableError: if the source has no key to try.
            AccessDeniedError: if the key may not be read, or others could read it.
        """
        ...

    def create(self) -> None:
        """Make the key if there is none and one can be made. A key is never replaced."""
        ...

    def spend(self) -> None:
        """Take as long as :meth:`unwrap` does, for a header that cannot be tried at all."""
        ...


_TEXT_BYTES: Final = 43  # 32 bytes in base64url without padding (RFC 4648 §5)
_ALPHABET: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def new_key_text() -> Secret:
    """Give a fresh random key as a key file or a keyring keeps it: 43 characters of base64url."""
    return Secret(
        binascii.b2a_base64(os.urandom(KEY_BYTES), newline=False)
        .translate(bytes.maketrans(b"+/", b"-_"), b"=")
        .decode()
    )


def _key_from_text(text: bytes, *, where: str) -> SealingKey:
    """Read 32 bytes of base64url; one ``=`` and one line break after them are part of the form."""
    body = text.removesuffix(b"\n").removesuffix(b"=")
    good = len(body) == _TEXT_BYTES and _ALPHABET.issuperset(body)
    if not good:
        size = len(text)
        del text, body
        raise IntegrityError(
            f"the key in {where} is not 32 bytes of base64url (it has {size} bytes)",
            hint="restore it from the copy made when the store was created",
        )
    return SealingKey(binascii.a2b_base64(body.translate(bytes.maketrans(b"-_", b"+/")) + b"="))


class _Stored:
    """A key that is kept somewhere as it is: used directly as the KEK."""

    kind = ""

    def _kek(self) -> SealingKey:
        raise NotImplementedError

    def wrap(self, dek: SealingKey, *, context: bytes) -> WrappedKey:
        """Seal ``dek``, bound to ``context``."""
        bound = frame(context, self.kind.encode())
        return WrappedKey(self.kind, {}, wrap(self._kek(), dek, context=bound))

    def unwrap(self, wrapped: WrappedKey, *, context: bytes) -> SealingKey:
        """Open what :meth:`wrap` sealed."""
        if wrapped.parameters:
            raise IntegrityError(DAMAGED, hint=DAMAGED_HINT)
        bound = frame(context, self.kind.encode())
        return _opened(self._kek(), wrapped.sealed, bound)

    def spend(self) -> None:
        """Nothing: reading a key takes no time worth hiding."""


def _opened(kek: SealingKey, sealed: bytes, context: bytes) -> SealingKey:
    try:
        return unwrap(kek, sealed, context=context)
    except IntegrityError:
        raise IntegrityError(DAMAGED, hint=DAMAGED_HINT) from None


class KeyFile(_Stored):
    """A file that holds the key: mode 0600, ours. Also a systemd credential (root's, mode 0440).

    It protects copies and backups of the store that do not include this file. It does not protect
    against a program that runs as the same user.
    """

    kind = "key-file"

    def __init__(self, path: str) -> None:
        self.path = path

    def create(self) -> None:
        """Make the file with a fresh key, unless it already holds one.

        Safe to repeat and to run twice at once. The key is never replaced: every store sealed
        under it would be lost.
        """
        ownership.write_once(self.path, new_key_text())

    def _kek(self) -> SealingKey:
        try:
            return _key_from_text(ownership.read_private(self.path), where=self.path)
        except FileNotFoundError:
            raise ProviderUnavailableError(
                f"the local store's key file {self.path} does not exist",
                hint="restore the key file, or make a new store with: secretkit init",
            ) from None


class KeyringKey(_Stored):
    """A key that the OS keyring keeps.

    ``fetch`` asks for it and ``keep`` stores a first one; both raise what the keyring's provider
    raises.
    """

    kind = "keyring"

    def __init__(self, fetch: Callable[[], Secret], keep: Callable[[Secret], object]) -> None:
        self._fetch = fetch
        self._keep = keep

    def create(self) -> None:
        """Store a fresh key, unless the keyring has one."""
        try:
            self._fetch()
        except SecretNotFoundError:
            self._keep(new_key_text())

    def _kek(self) -> SealingKey:
        return _key_from_text(self._fetch().reveal().encode(), where="the keyring")


@record(kw_only=True)
class Argon2Cost:
    """What Argon2id costs: the second recommended option of RFC 9106 §4 (150 ms here).

    Bounded both ways: a header comes from the file, and a gigabyte in it would be an attack.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        """Refuse what is too cheap to protect or too dear to try."""
        bounds = {"memory_kib": (19 * 1024, 256 * 1024), "iterations": (2, 10), "lanes": (1, 8)}
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(
                    f"argon2id {name} is between {least} and {most}",
                    hint="leave the costs out to use the recommended ones",
                )


_SALT_BYTES: Final = 16
_KDF: Final = "argon2id"


class Passphrase:
    """A passphrase that a person or an environment variable knows, made a key by Argon2id.

    ``ask`` gives the passphrase each time it is needed; it is not kept.
    """

    kind = "passphrase"

    def __init__(self, ask: Callable[[], Secret], *, cost: Argon2Cost | None = None) -> None:
        self._ask = ask
        self._cost = cost or Argon2Cost()

    def wrap(self, dek: SealingKey, *, context: bytes) -> WrappedKey:
        """Seal ``dek`` under the passphrase with a fresh salt."""
        salt = os.urandom(_SALT_BYTES)
        parameters: dict[str, str | int] = {
            "kdf": _KDF,
            "salt": salt.hex(),
            "memory_kib": self._cost.memory_kib,
            "iterations": self._cost.iterations,
            "lanes": self._cost.lanes,
        }
        bound = self._bound(context, parameters)
        kek = _stretch(self._ask(), salt, self._cost)
        return WrappedKey(self.kind, parameters, wrap(kek, dek, context=bound))

    def unwrap(self, wrapped: WrappedKey, *, context: bytes) -> SealingKey:
        """Open what :meth:`wrap` sealed, at the cost stated in it if that is within bounds."""
        known = _read_parameters(wrapped.parameters)
        if known is None:
            self.spend()
            raise IntegrityError(DAMAGED, hint=DAMAGED_HINT)
        kek = _stretch(self._ask(), *known)
        return _opened(kek, wrapped.sealed, self._bound(context, wrapped.parameters))

    def create(self) -> None:
        """Nothing: a passphrase is chosen by a person."""

    def spend(self) -> None:
        """Stretch the passphrase once for nothing."""
        _stretch(self._ask(), bytes(_SALT_BYTES), self._cost)

    def _bound(self, context: bytes, parameters: Mapping[str, str | int]) -> bytes:
        return frame(context, self.kind.encode(), canonical(parameters))


def _read_parameters(parameters: Mapping[str, str | int]) -> tuple[bytes, Argon2Cost] | None:
    expected = {"kdf", "salt", "memory_kib", "iterations", "lanes"}
    if set(parameters) != expected or parameters["kdf"] != _KDF:
        return None
    costs = {name: parameters[name] for name in ("memory_kib", "iterations", "lanes")}
    try:
        salt = bytes.fromhex(str(parameters["salt"]))
        cost = Argon2Cost(**costs)  # type: ignore[arg-type]  # __post_init__ checks the types
    except (ValueError, ConfigError):
        return None
    return (salt, cost) if len(salt) == _SALT_BYTES else None


def _stretch(passphrase: Secret, salt: bytes, cost: Argon2Cost) -> SealingKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - 6 ms
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - 1 ms more

    try:
        kdf = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=cost.iterations,
            lanes=cost.lanes,
            memory_cost=cost.memory_kib,
        )
        return SealingKey(kdf.derive(passphrase.reveal().encode()))
    except (UnsupportedAlgorithm, MemoryError):
        pass  # raised below, outside: the frames of the failed call hold the passphrase
    raise LedgerError(
        f"argon2id cannot run here (it needs {cost.memory_kib // 1024} MiB of memory)",
        hint='give the process more memory, or use a key file: key = { type = "key-file" }',
    )
