"""Records read like dataclasses, and are dataclasses to anybody who asks."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from types import MappingProxyType
from typing import ClassVar

import pytest

from secretkit.core.record import record, replace


@record()
class Point:
    kind: ClassVar[str] = "point"
    x: int
    y: int = 2


@record(kw_only=True, hidden=("secret",), order=True)
class Named:
    name: str
    secret: str = "s"
    table: object = MappingProxyType({})


@record(frozen=False)
class Loose:
    x: int
    y: int = 0


@record()
class Checked:
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("negative")

    def double(self) -> int:
        return self.x * 2


def test_fields_are_given_by_position_or_by_name_and_have_defaults():
    assert (Point(1).x, Point(1).y) == (1, 2)
    assert Point(1, 3) == Point(x=1, y=3) == Point(1, y=3)
    assert Point.kind == "point"


@pytest.mark.parametrize(
    ("args", "given"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})],
    ids=["missing", "too many", "twice", "unknown"],
)
def test_wrong_arguments_are_a_type_error(args, given):
    with pytest.raises(TypeError, match="Point"):
        Point(*args, **given)


def test_keyword_only_means_keyword_only():
    assert Named(name="a").name == "a"
    with pytest.raises(TypeError):
        Named("a")


def test_a_record_does_not_change():
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.other = 1
    assert not hasattr(point, "__dict__")


def test_a_loose_one_does_and_has_no_hash():
    loose = Loose(1)
    loose.x = 5
    assert loose == Loose(5)
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


def test_equality_is_by_class_and_fields_and_the_hash_agrees():
    assert Point(1) == Point(1)
    assert hash(Point(1)) == hash(Point(1))
    assert Point(1) != Point(2)
    assert Point(1) != Loose(1, 2)
    assert Point(1) != (1, 2)


def test_order_is_by_fields_where_it_was_asked_for():
    low, high = Named(name="a", table=0), Named(name="b", table=0)
    assert sorted([high, low]) == [low, high]
    with pytest.raises(TypeError):
        sorted([Point(1), Point(2)])


def test_hidden_fields_are_not_in_the_repr():
    assert repr(Named(name="a", secret="hush", table=1)) == "Named(name='a', table=1)"
    assert repr(Point(1)) == "Point(x=1, y=2)"


def test_the_check_runs_for_new_ones_and_for_changed_copies():
    assert replace(Checked(1), x=2).double() == 4
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)
    with pytest.raises(ValueError, match="negative"):
        replace(Checked(1), x=-1)
    with pytest.raises(TypeError):
        replace(Checked(1), y=1)


def test_copies_and_pickles_are_equal():
    point = Point(1, 5)
    pickled = pickle.loads(pickle.dumps(point))  # noqa: S301 - our own bytes
    assert point == copy.copy(point) == copy.deepcopy(point) == pickled


def test_dataclasses_knows_what_to_do_with_one():
    point = Point(1)
    assert dataclasses.is_dataclass(point)
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "y"]
    assert dataclasses.asdict(point) == {"x": 1, "y": 2}
    assert dataclasses.replace(point, y=7) == Point(1, 7)
    assert dataclasses.replace(Named(name="a"), name="b").name == "b"


def test_matching_by_position_works():
    match Point(1, 3):
        case Point(x, y):
            assert (x, y) == (1, 3)


def test_defining_records_loads_neither_dataclasses_nor_inspect():
    script = (
        "import sys; import secretkit.ports, secretkit.config.load, secretkit.broker.fetch;"
        "print(sorted({'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
