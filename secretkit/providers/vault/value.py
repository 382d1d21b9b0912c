"""Value: what an engine gave, as JSON text in a Secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["wrapped_json"]


def wrapped_json(data: Mapping[str, object], *, ref: str) -> Secret | ProviderError:
    """Wrap a document. An error is given back: this frame holds the document in clear."""
    try:
        return Secret(json.dumps(data))
    except SecretError:
        return ProviderError(
            f"{ref}: the document is too large to be a secret",
            ref=ref,
            hint="store less in one document: 1 MiB of JSON is the most",
        )
