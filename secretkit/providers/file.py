"""file: a secret mounted as a file. ``file:/run/secrets/key``, or ``…#field`` for JSON.

Options: ``root`` (paths start there and may not leave it, by a link either) and ``newline``
(``"keep"``, or ``"strip-one"`` for files written by ``echo``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from secretkit.errors import ConfigError, RefError, SecretError
from secretkit.ports import Fetched
from secretkit.providers.contents import NEWLINES, field_of, no_version
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options
from secretkit.providers.plain_file import PlainFile, locate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.ref import SecretRef
    from secretkit.ports import ProviderContext

__all__ = ["FileProvider"]


@dataclass(frozen=True, slots=True)
class FileProvider:
    """Reads mounted secrets, opening the path anew for each fetch. Stateless, thread-safe."""

    context: ProviderContext = field(repr=False)
    root: str = ""
    newline: str = "keep"

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from ``root`` and ``newline``.

        Raises:
            ConfigError: for an option that is unknown, malformed, or not to be resolved.
        """
        read = Options(options, type_name="file", known=("newline", "root"))
        root = read.text("root")
        newline = read.choice("newline", among=NEWLINES)
        try:
            root = locate(root, ref=None, context=context) if root else ""
        except RefError as error:
            raise ConfigError(str(error), key_path="root", hint=error.hint) from None
        return cls(context, root=root, newline=newline)

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Read the file as it is now; the version changes whenever the file does.

        Raises:
            RefError: if a version is asked for, or the path cannot be resolved.
            SecretError: if the file is empty or is not text.
            SecretNotFoundError: if there is no such file or field.
            AccessDeniedError: if it may not be read, or lies outside ``root``.
            ProviderTimeoutError: if it changed each time it was read.
            ProviderError: if it is no regular file, too large, or cannot be read.
        """
        deadline = Deadline(timeout, clock=self.context.clock)
        contents = self._file(ref).read(deadline=deadline, newline=self.newline)
        if contents.secret is None:
            raise SecretError(f"{ref}: the file is empty", hint="write the secret into it")
        return Fetched(secret=field_of(contents.secret, ref=ref), version=contents.version)

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the file's version without reading it; raises like :meth:`fetch`."""
        Deadline(timeout, clock=self.context.clock).check(ref)
        return self._file(ref).version()

    def _file(self, ref: SecretRef) -> PlainFile:
        no_version(ref)
        if self.root and not ref.path.startswith(("/", "~")):
            path = f"{self.root}/{ref.path}"
        else:
            path = locate(ref.path, ref=ref, context=self.context)
        return PlainFile(path=path, ref=ref, root=self.root)
