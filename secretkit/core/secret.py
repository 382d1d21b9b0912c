"""Secret: a value that does not print, pickle, compare or leak.

Not a ``str``: a subclass leaks through ``+``, ``join``, ``json.dumps``, ``.encode()`` and slicing.
The only way out is :meth:`Secret.reveal`, so one ``grep`` finds every place a value is used. What
is not promised: that memory is wiped. CPython copies strings, and HTTP libraries copy them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Never, NoReturn, final

from secretkit.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MASK", "Secret"]

MASK: Final = "Secret('***')"
_MAX_LENGTH: Final = (
    1 << 20
)  # larger than any credential we know; a bound on what we keep in memory


@final
class Secret:
    """Text that must not be seen: masked when printed, and shown only by ``reveal()``.

    Immutable and thread-safe. Equality is compared in constant time. It is not hashable: a set of
    secrets would keep them alive and invite comparisons by hash.
    """

    __slots__ = ("__weakref__", "_sealed")

    # __new__ and not __init__: calling __init__ again would change the value.
    def __new__(cls, value: str) -> Secret:
        """Wrap ``value``, or refuse it with SecretError."""
        problem = _problem(value)
        if problem:
            del value  # a traceback that captures locals must not find it in this frame
            raise SecretError(problem, hint="check what the store holds; nothing was kept")
        self = object.__new__(cls)
        # str() of a subclass of str could be anything; str.__str__ is its text.
        _put(self, str.__str__(value))
        return self

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Secret is final: a subclass could print what it holds")

    def reveal(self) -> str:
        """Give the value itself. Call it in the last expression before the wire, nowhere else."""
        return _text_of(self)

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
        from hmac import compare_digest  # noqa: PLC0415 - 17 ms here: it loads OpenSSL

        return compare_digest(self.reveal().encode(), other.reveal().encode())

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

    if not TYPE_CHECKING:  # a type checker must go on seeing that a Secret has none of these
        __iter__ = __len__ = __bytes__ = __add__ = __radd__ = __mod__ = __contains__ = _refuse
        __getitem__ = __mul__ = __lt__ = __gt__ = __le__ = __ge__ = __int__ = __index__ = _refuse

    def __bool__(self) -> bool:
        """A Secret is never empty, so ``if secret:`` is always true."""
        return True


# The value stands in a slot that has lost its name. No attribute, item or repr leads to it, so what
# walks __slots__, pickles or formats finds nothing. An iterator or a closure would be found and
# give it away: filter.__reduce__(), "{0._reveal.__closure__[0].cell_contents}". No state, 60 ns.
_slot: Any = Secret.__dict__["_sealed"]
_text_of: Callable[[Secret], str] = _slot.__get__
_put: Callable[[Secret, str], None] = _slot.__set__
type.__delattr__(Secret, "_sealed")
del _slot


def _problem(value: object) -> str:
    """Say in words what keeps ``value`` from being a secret, or give an empty string."""
    if not isinstance(value, str):
        return f"a secret is text, and this is {type(value).__name__}"
    if not value:
        return "the value is empty"
    if "\0" in value:
        return "the value holds a NUL byte"
    if len(value) > _MAX_LENGTH:
        return f"the value is longer than {_MAX_LENGTH} characters"
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        return "the value is not valid text (it holds a lone surrogate)"
    return ""
