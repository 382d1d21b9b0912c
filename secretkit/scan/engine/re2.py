"""The engine over google-re2, where there is no wheel of hyperscan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from secretkit.scan.expression import WIDEST, anchor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretkit.scan.rule import Rule

__all__ = ["Re2Engine"]

_CHUNK: Final = 1 << 13
_MEMORY: Final = 256 << 20


class Re2Engine:
    """Nominates a rule wherever its anchor matches. About 60 MB/s here. One thread at a time.

    One set of all keywords says which rules to look for in a chunk of 8 KiB. A set of all anchors
    would be 1 MB/s: those that begin with a long run of one class have too many states.
    """

    name = "re2"

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Make the set of keywords; an anchor is compiled when it is first needed.

        Raises:
            ImportError: if google-re2 is not installed.
        """
        import re2  # type: ignore[import-untyped] # noqa: PLC0415 - may not be installed

        self._re2: Any = re2
        self._rules = rules
        self._anchors: dict[int, Any] = {}
        owners: dict[bytes, list[int]] = {}
        # Encoded text has no keyword: it may be anywhere.
        self._always = [(index, 1) for index, rule in enumerate(rules) if rule.judged == "hint"]
        for index, rule in enumerate(rules):
            for word in rule.keywords:
                owners.setdefault(word.encode(), []).append(index)
        self._owners = tuple(owners.values())
        self._words = self._re2.Set.SearchSet(self._options())
        for whole in owners:
            self._words.Add(self._re2.escape(whole))
        self._words.Compile()

    def nominate(self, data: bytes | bytearray | memoryview) -> list[tuple[int, int]]:
        """Give (index of a rule, end of its anchor) pairs."""
        found = [*self._always] if data else []
        if not self._owners:
            return found
        view = memoryview(data)
        for at in range(0, len(view), _CHUNK):
            low = max(0, at - WIDEST)  # so that every anchor that ends in here is whole
            chunk = bytes(view[low : at + _CHUNK])
            named = self._words.Match(chunk.lower()) or ()
            for rule in {index for word in named for index in self._owners[word]}:
                found.extend((rule, low + match.end()) for match in self._matches(rule, chunk))
        return found

    def _matches(self, rule: int, chunk: bytes) -> Any:  # noqa: ANN401 - re2 has no types
        # A match that begins inside another is not given, nor needed: it is in the same cores.
        made = self._anchors.get(rule)
        if made is None:
            one = self._rules[rule]
            expression = anchor(one.anchor or one.pattern, reach=one.reach)
            made = self._re2.compile(expression.encode("ascii"), self._options())
            self._anchors[rule] = made
        return made.finditer(chunk)

    def _options(self) -> Any:  # noqa: ANN401 - as above
        options = self._re2.Options()
        options.encoding = self._re2.Options.Encoding.LATIN1
        options.max_mem = _MEMORY
        options.log_errors = False
        return options
