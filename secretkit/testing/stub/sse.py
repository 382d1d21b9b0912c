"""What the stand-in says: one text as a JSON message or as server-sent events.

The event order is that of the Claude API's streaming page: ``message_start``,
``content_block_start``, ``ping``, deltas, ``content_block_stop``, ``message_delta``,
``message_stop``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Reply", "encode_event"]

_PIECES: Final = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer to one request. A word counts as a token; ``max_tokens`` cuts the text."""

    text: str
    model: str
    message_id: str
    input_tokens: int
    max_tokens: int

    @property
    def pieces(self) -> list[str]:
        """The words that fit into ``max_tokens``, each with the space before it."""
        return _PIECES.findall(self.text)[: self.max_tokens]

    def message(self) -> bytes:
        """Give the JSON body of an answer that is not streamed."""
        pieces = self.pieces
        body = self._envelope()
        body["content"] = [{"type": "text", "text": "".join(pieces)}]
        body["stop_reason"] = self._stop_reason()
        body["usage"] = self._usage(len(pieces))
        return _json(body)

    def events(self) -> list[bytes]:
        """Give the encoded events of a streamed answer."""
        pieces = self.pieces
        start = self._envelope() | {"usage": self._usage(1)}
        block = {"type": "text", "text": ""}
        end = {"stop_reason": self._stop_reason(), "stop_sequence": None, "stop_details": None}
        return [
            encode_event("message_start", {"message": start}),
            encode_event("content_block_start", {"index": 0, "content_block": block}),
            encode_event("ping", {}),
            *(
                encode_event(
                    "content_block_delta",
                    {"index": 0, "delta": {"type": "text_delta", "text": piece}},
                )
                for piece in pieces
            ),
            encode_event("content_block_stop", {"index": 0}),
            encode_event("message_delta", {"delta": end, "usage": self._usage(len(pieces))}),
            encode_event("message_stop", {}),
        ]

    def _envelope(self) -> dict[str, object]:
        return {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
        }

    def _stop_reason(self) -> str:
        fits = len(_PIECES.findall(self.text)) <= self.max_tokens
        return "end_turn" if fits else "max_tokens"

    def _usage(self, output_tokens: int) -> dict[str, object]:
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
            "service_tier": "standard",
        }


def encode_event(name: str, fields: dict[str, object]) -> bytes:
    """Write one server-sent event whose data repeats its name as ``type``."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _json({"type": name, **fields}))


def _json(body: dict[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
