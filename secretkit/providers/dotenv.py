"""dotenv: a variable in a ``.env`` file. ``dotenv:.env#NAME``: the path is the file.

Read with python-dotenv's parser: no interpolation, no look at the process environment, and a file
with one malformed line is refused whole, because an open quote there swallows the lines after it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, RefError, SecretError, SecretNotFoundError
from secretkit.ports import Fetched
from secretkit.providers.contents import no_version, wrapped
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options, nearest
from secretkit.providers.plain_file import PlainFile, locate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.ref import SecretRef
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext

__all__ = ["DotenvProvider"]


@dataclass(frozen=True, slots=True)
class DotenvProvider:
    """Reads ``.env`` files, anew for each fetch. Stateless, thread-safe."""

    context: ProviderContext = field(repr=False)

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it; it takes no options.

        Raises:
            ConfigError: if an option is given.
        """
        Options(options, type_name="dotenv", known=())
        return cls(context)

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give the variable's value; the version changes whenever the file does.

        Raises:
            RefError: if the variable is missing in the reference, or a version is asked for.
            SecretError: if the value is empty or is not text.
            SecretNotFoundError: if there is no such file or variable.
            AccessDeniedError: if the file may not be read.
            ProviderTimeoutError: if the file changed each time it was read.
            ProviderError: for a malformed line, a variable given twice, or an unreadable file.
        """
        no_version(ref)
        if ref.field is None:
            raise RefError(
                f"{ref}: the variable's name is missing", hint=f"write {ref}#NAME_OF_THE_VARIABLE"
            )
        path = locate(ref.path, ref=ref, context=self.context)
        deadline = Deadline(timeout, clock=self.context.clock)
        contents = PlainFile(path=path, ref=ref).read(deadline=deadline)
        if contents.secret is None:
            raise _absent(ref, "")
        found = _picked(contents.secret, ref)
        if isinstance(found, Secret):
            return Fetched(secret=found, version=contents.version)
        raise found


def _picked(text: Secret, ref: SecretRef) -> Secret | SecretkitError:
    """Give one variable, or an error; never raises, because it holds the whole file in clear."""
    from dotenv.parser import parse_stream  # noqa: PLC0415 - 10 ms that other stores do not need

    names: list[str] = []
    lines: list[int] = []
    value: str | None = None
    for binding in parse_stream(io.StringIO(text.reveal(), newline="")):
        blank = binding.original.string
        line = binding.original.line + blank[: len(blank) - len(blank.lstrip())].count("\n")
        if binding.error:
            return ProviderError(
                f"{ref}: line {line} is malformed",
                ref=str(ref),
                hint="write NAME=value, with a quote closed by the same quote",
            )
        if binding.key is not None:
            names.append(binding.key)
        if binding.key == ref.field:
            value = binding.value
            lines.append(line)
    if len(lines) > 1:
        return ProviderError(
            f"{ref}: the variable is given twice, in lines {lines[0]} and {lines[1]}",
            ref=str(ref),
            hint="keep one of the two lines",
        )
    if not lines:
        return _absent(ref, nearest(ref.field or "", names))
    if not value:
        return SecretError(
            f"{ref}: line {lines[0]} gives the variable no value", hint="write NAME=value"
        )
    return wrapped(value, ref=ref)


def _absent(ref: SecretRef, near: str) -> SecretNotFoundError:
    return SecretNotFoundError(
        f"{ref}: the file does not set this variable",
        ref=str(ref),
        hint=f"did you mean #{near}?" if near else f"add a line {ref.field}=...",
    )
