"""Target: which Claude platform a credential is for."""

from __future__ import annotations

from typing import Final

from secretkit.core.record import record

__all__ = ["PLATFORMS", "Target"]

PLATFORMS: Final = (
    "anthropic",
    "bedrock",
    "bedrock-mantle",
    "claude-on-aws",
    "vertex",
    "google-cloud",
    "foundry",
)
"""The places where Claude is served: the values of ``platform`` in ``[credentials.NAME]``."""


@record(kw_only=True)
class Target:
    """Where a credential is used. What is empty is not known, and must be said by the caller."""

    platform: str = "anthropic"
    region: str = ""
    workspace_id: str = ""
    base_url: str = ""
