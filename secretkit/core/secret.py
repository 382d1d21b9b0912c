"""Secret: a value that does not print, pickle, compare or leak.

Not a ``str``: a subclass leaks through ``+``, ``join``, ``json.dumps``, ``.encode()`` and slicing.
The only way out is :meth:`Secret.reveal`, so one ``grep`` finds every place a value is used. What
is not promised: that memory is wiped. CPython copies strings, and HTTP libraries copy them again.
"""

from __future__ import annotations

import hmac
from typing import Final, Never, NoReturn, final

from secretkit.errors import SecretError

__all__ = ["MASK", "Secret"]

MASK: Final = "Secret('***')"
_MAX_BYTES: Final = 1 << 20  # larger than any credential we know; a bound on what we keep in memory


@final
class Secret:
    """Text that must not be seen: masked when printed, and shown only by ``reveal()``.

    Immutable and thread-safe. Equality is compared in constant time. It is not hashable: a set of
    secrets would keep them alive and invite comparisons by hash.
    """

    __slots__ = ("__weakref__", "_reveal")

    def __init__(self, value: str) -> None:
        problem = _problem(value)
        if problem:
            del value  # a traceback that captures locals must not find it in this frame
            raise SecretError(problem, hint="check what the store holds; nothing was kept")

        def reveal() -> str:
            return value

        # A closure, so that a walk over attributes meets a function and not the text.
        object.__setattr__(self, "_reveal", reveal)

    def reveal(self) -> str:
        """Give the value itself. Call it in the last expression before the wire, nowhere else."""
        return self._reveal()  # type: ignore[no-any-return,attr-defined]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        del value
        raise TypeError(f"a Secret cannot be changed (attribute {name!r})")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError(f"a Secret cannot be changed (attribute {name!r})")

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self  # so that dataclasses.asdict keeps the mask instead of failing on it

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled; send its reference and lease it again")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret has no state to hand out")

    def _refuse(self, *_: object) -> Never:
        raise TypeError("a Secret does not work as text; call reveal() where it is used")

    __iter__ = __len__ = __bytes__ = __add__ = __radd__ = __mod__ = __contains__ = _refuse
    __getitem__ = __mul__ = __lt__ = __gt__ = __le__ = __ge__ = __int__ = __index__ = _refuse

    def __bool__(self) -> bool:
        """A Secret is never empty, so ``if secret:`` is always true."""
        return True


def _problem(value: object) -> str:
    """Say in words what keeps ``value`` from being a secret, or give an empty string."""
    if not isinstance(value, str):
        return f"a secret is text, and this is {type(value).__name__}"
    if not value:
        return "the value is empty"
    if "\0" in value:
        return "the value holds a NUL byte"
    if len(value) > _MAX_BYTES:
        return f"the value is longer than {_MAX_BYTES} characters"
    if any("\ud800" <= char <= "\udfff" for char in value):
        return "the value is not valid text (it holds a lone surrogate)"
    return ""
