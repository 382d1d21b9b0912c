"""Record: small immutable classes that cost next to nothing to define.

A record reads like a dataclass, and is one to anybody who asks: ``dataclasses.fields``, ``asdict``,
``replace`` and ``is_dataclass`` work, and load :mod:`dataclasses` only then. It is for the modules
that every command loads: docs/decisions/0006 has the figures. Elsewhere use dataclasses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["record", "replace"]

T = TypeVar("T")
_REQUIRED: Final = object()


@dataclass_transform(frozen_default=True)
def record(
    *,
    init: bool = True,
    frozen: bool = True,
    kw_only: bool = False,
    order: bool = False,
    hidden: tuple[str, ...] = (),
) -> Callable[[type[T]], type[T]]:
    """Make a class of annotated fields a value: slots, ``__init__``, ``==``, ``hash`` and ``repr``.

    ``init=False`` keeps the class's own ``__init__``; ``frozen=False`` allows assignment and gives
    no hash; ``hidden`` fields are left out of the repr. A ``__post_init__`` is called last.
    Defaults are shared between instances, so they must be immutable.
    """

    def make(cls: type[T]) -> type[T]:
        space = dict(cls.__dict__)
        names = tuple(
            name for name, kind in space.get("__annotations__", {}).items() if _is_field(kind)
        )
        defaults = {name: space.pop(name, _REQUIRED) for name in names}
        for name in ("__dict__", "__weakref__"):
            space.pop(name, None)
        space |= {"__slots__": (*names, "__weakref__"), "__match_args__": names}
        space["__dataclass_params__"] = _Parameters
        space["__dataclass_fields__"] = _Fields(names, defaults, kw_only=kw_only)
        if init:
            space["__init__"] = _init(
                names, defaults, kw_only=kw_only, post="__post_init__" in space
            )
        shown = tuple(name for name in names if name not in hidden)
        for method in (_eq(names), _repr(shown), *_copied(names)):
            space.setdefault(method.__name__, method)
        space.setdefault("__hash__", _hash(names) if frozen else None)
        if frozen:
            space["__setattr__"], space["__delattr__"] = _no_set, _no_delete
        if order:
            space.setdefault("__lt__", _lt(names))
        meta: Any = type(cls)
        made: type[T] = meta(cls.__name__, cls.__bases__, space)
        return made

    return make


def replace(original: T, /, **changes: object) -> T:
    """Give a record like ``original`` with ``changes``; it is checked like a new one."""
    return original.__replace__(**changes)  # type: ignore[attr-defined,no-any-return]


def _is_field(kind: object) -> bool:
    return not str(kind).startswith(("ClassVar", "typing.ClassVar"))


def _init(
    names: tuple[str, ...], defaults: dict[str, object], *, kw_only: bool, post: bool
) -> Callable[..., None]:
    put = object.__setattr__
    positional = 0 if kw_only else len(names)

    def __init__(self: object, *args: object, **given: object) -> None:  # noqa: N807
        if len(args) > positional:
            raise TypeError(f"{type(self).__name__} takes {positional} positional arguments")
        for name, value in zip(names, args, strict=False):
            if name in given:
                raise TypeError(f"{type(self).__name__} got {name!r} twice")
            put(self, name, value)
        for name in names[len(args) :]:
            value = given.pop(name, defaults[name])
            if value is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {name!r}")
            put(self, name, value)
        if given:
            raise TypeError(f"{type(self).__name__} has no {next(iter(given))!r}")
        if post:
            self.__post_init__()  # type: ignore[attr-defined]

    return __init__


def _eq(names: tuple[str, ...]) -> Callable[[Any, object], Any]:
    def __eq__(self: Any, other: Any) -> Any:  # noqa: ANN401, N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in names)

    return __eq__


def _hash(names: tuple[str, ...]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: ANN401, N807
        return hash(tuple(getattr(self, name) for name in names))

    return __hash__


def _lt(names: tuple[str, ...]) -> Callable[[Any, object], Any]:
    def __lt__(self: Any, other: Any) -> Any:  # noqa: ANN401, N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine = tuple(getattr(self, name) for name in names)
        return mine < tuple(getattr(other, name) for name in names)

    return __lt__


def _repr(names: tuple[str, ...]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:  # noqa: ANN401, N807
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({fields})"

    return __repr__


def _copied(names: tuple[str, ...]) -> tuple[Callable[..., Any], ...]:
    """Give what copy, pickle and replace need."""
    put = object.__setattr__

    def __getstate__(self: Any) -> list[object]:  # noqa: ANN401, N807
        return [getattr(self, name) for name in names]

    def __setstate__(self: Any, state: list[object]) -> None:  # noqa: ANN401, N807
        for name, value in zip(names, state, strict=True):
            put(self, name, value)

    def __replace__(self: Any, **changes: object) -> Any:  # noqa: ANN401, N807
        return type(self)(**{name: getattr(self, name) for name in names} | changes)

    return __getstate__, __setstate__, __replace__


def _no_set(self: object, name: str, value: object) -> NoReturn:
    del value
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - only for an error

    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")


def _no_delete(self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - only for an error

    raise FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__name__}")


class _Parameters:
    """``__dataclass_params__``: pprint asks it, and is to use our repr, which hides fields."""

    repr = False


class _Fields:
    """``__dataclass_fields__``, made when somebody looks at it."""

    __slots__ = ("_defaults", "_kw_only", "_made", "_names")

    def __init__(
        self, names: tuple[str, ...], defaults: dict[str, object], *, kw_only: bool
    ) -> None:
        self._names, self._defaults, self._kw_only = names, defaults, kw_only
        self._made: dict[str, Any] | None = None

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        if self._made is None:
            from dataclasses import make_dataclass  # noqa: PLC0415 - see the module

            kinds = owner.__annotations__
            given: list[Any] = [(name, kinds[name], self._field(name)) for name in self._names]
            like: Any = make_dataclass(owner.__name__, given, kw_only=self._kw_only)
            self._made = dict(like.__dataclass_fields__)
        return self._made

    def _field(self, name: str) -> object:
        from dataclasses import field  # noqa: PLC0415 - see the module

        default = self._defaults[name]
        # A factory, because a dataclass takes no default that cannot be hashed, not even a proxy.
        return field() if default is _REQUIRED else field(default_factory=lambda: default)
