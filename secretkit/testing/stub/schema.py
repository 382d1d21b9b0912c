"""What a request body may look like: required fields, their types, and nothing unknown.

Field names are those of anthropic 2.12's request types; the sampling parameters, which it no longer
has, stand here for clients that send ``anthropic-version: 2023-06-01``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NoReturn

from secretkit.testing.stub.refused import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["check_count_tokens", "check_messages", "read_object"]


def read_object(body: bytes) -> dict[str, object]:
    """Read a JSON object: UTF-8, no key twice, no NaN.

    Raises:
        RefusedError: 400.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise RefusedError(400, "the request body is not valid JSON") from None
    if not isinstance(value, dict):
        raise RefusedError(400, "the request body is not a JSON object")
    return value


def check_messages(body: Mapping[str, object], *, with_betas: frozenset[str]) -> None:
    """Check the body of ``POST /v1/messages``.

    Raises:
        RefusedError: 400, naming the first wrong field.
    """
    extra = _BETA_ONLY if with_betas else {}
    _check(body, _MESSAGES | extra, required=("max_tokens", "messages", "model"))


def check_count_tokens(body: Mapping[str, object], *, with_betas: frozenset[str]) -> None:
    """Check the body of ``POST /v1/messages/count_tokens``; raises like :func:`check_messages`."""
    extra = _BETA_ONLY if with_betas else {}
    _check(body, _COUNT_TOKENS | extra, required=("messages", "model"))


def _check(
    body: Mapping[str, object],
    known: Mapping[str, Callable[[object], str]],
    *,
    required: tuple[str, ...],
) -> None:
    for name in required:
        if name not in body:
            raise RefusedError(400, f"{name}: Field required")
    for name, value in body.items():
        check = known.get(name)
        if check is None:
            # Not named: an unknown field's name is the client's text, and may be a pasted key.
            raise RefusedError(400, "an unknown field: Extra inputs are not permitted")
        problem = check(value)
        if problem:
            raise RefusedError(400, f"{name}{problem}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _is(kind: type, expected: str) -> Callable[[object], str]:
    return lambda value: "" if isinstance(value, kind) else f": {expected}"


def _or_null(check: Callable[[object], str]) -> Callable[[object], str]:
    return lambda value: "" if value is None else check(value)


def _text(value: object) -> str:
    return "" if isinstance(value, str) and value else ": a text that is not empty is expected"


def _count(value: object) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return "" if good else ": a whole number of 1 or more is expected"


def _fraction(value: object) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return "" if good else ": a number from 0 to 1 is expected"


def _texts(value: object) -> str:
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "" if good else ": a list of texts is expected"


def _objects(value: object) -> str:
    good = isinstance(value, list) and all(isinstance(item, dict) for item in value)
    return "" if good else ": a list of objects is expected"


def _one_of(*choices: str) -> Callable[[object], str]:
    expected = f": one of {', '.join(choices)} is expected"
    return lambda value: "" if value in choices else expected


def _messages(value: object) -> str:
    if not isinstance(value, list) or not value:
        return ": at least one message is required"
    for index, message in enumerate(value):
        problem = _message(message)
        if problem:
            return f".{index}{problem}"
    return ""


def _message(message: object) -> str:
    if not isinstance(message, dict):
        return ": an object is expected"
    if message.keys() != {"role", "content"}:
        return ": exactly role and content are expected"
    if message["role"] not in ("user", "assistant"):
        return ".role: user or assistant is expected"
    problem = _content(message["content"])
    return f".content{problem}" if problem else ""


def _content(content: object) -> str:
    if isinstance(content, str):
        return "" if content else ": a text that is not empty is expected"
    if not isinstance(content, list) or not content:
        return ": a text or a list of blocks is expected"
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            return f".{index}.type: Field required"
        if block["type"] == "text" and _text(block.get("text")):
            return f".{index}.text{_text(block.get('text'))}"
    return ""


def _system(value: object) -> str:
    if isinstance(value, str):
        return ""
    return _objects(value) or _content(value)


_OBJECT: Final = _is(dict, "an object is expected")
_COUNT_TOKENS: Final[dict[str, Callable[[object], str]]] = {
    "cache_control": _or_null(_OBJECT),
    "messages": _messages,
    "model": _text,
    "output_config": _OBJECT,
    "speed": _or_null(_one_of("standard", "fast")),
    "system": _system,
    "thinking": _OBJECT,
    "tool_choice": _OBJECT,
    "tools": _objects,
}
_MESSAGES: Final[dict[str, Callable[[object], str]]] = _COUNT_TOKENS | {
    "container": _or_null(lambda value: "" if isinstance(value, dict) else _text(value)),
    "diagnostics": _or_null(_OBJECT),
    "inference_geo": _or_null(_text),
    "max_tokens": _count,
    "metadata": _OBJECT,
    "service_tier": _one_of("auto", "standard_only"),
    "stop_sequences": _texts,
    "stream": _is(bool, "true or false is expected"),
    "temperature": _fraction,
    "top_k": _count,
    "top_p": _fraction,
}
_BETA_ONLY: Final[dict[str, Callable[[object], str]]] = {
    "billing_policy": _or_null(_OBJECT),
    "compaction": _or_null(_OBJECT),
    "context_management": _or_null(_OBJECT),
    "fallbacks": _or_null(_objects),
    "mcp_servers": _objects,
    "thread": _or_null(_OBJECT),
}
