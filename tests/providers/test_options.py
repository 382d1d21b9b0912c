"""Options are typed, complete, and refused with the nearest name."""

from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError
from secretkit.providers.options import Options, nearest

KNOWN = ("argv", "newline", "root", "timeout")


def options(**table: object) -> Options:
    return Options(table, type_name="some", known=KNOWN)


def test_an_unknown_option_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        options(newlin="keep")
    assert caught.value.key_path == "newlin"
    assert "did you mean newline?" in caught.value.hint
    assert "argv, newline, root, timeout" in caught.value.hint


def test_a_provider_without_options_says_so() -> None:
    with pytest.raises(ConfigError) as caught:
        Options({"x": 1}, type_name="env", known=())
    assert "takes no options" in caught.value.hint


def test_the_type_belongs_to_the_registry() -> None:
    Options({"type": "env"}, type_name="env", known=())


def test_values_come_back_typed() -> None:
    read = options(argv=["a", "b"], newline="strip-one", root="/x", timeout="15m")
    assert read.texts("argv") == ("a", "b")
    assert read.choice("newline", among=("keep", "strip-one")) == "strip-one"
    assert read.text("root") == "/x"
    assert read.duration("timeout", default=timedelta()) == timedelta(minutes=15)


def test_what_is_left_out_has_its_default() -> None:
    read = options()
    assert read.texts("argv", default=("x",)) == ("x",)
    assert read.choice("newline", among=("keep", "strip-one")) == "keep"
    assert read.text("root", default="d") == "d"
    assert read.duration("timeout", default=timedelta(1)) == timedelta(1)
    assert read.table("argv") == {}


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("10s", timedelta(seconds=10)),
        ("2h", timedelta(hours=2)),
        ("30d", timedelta(days=30)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert options(timeout=text).duration("timeout", default=timedelta()) == span


BAD_DURATIONS = [
    "", "15", "m", "15 m", "-1s", "+1s", "1.5h", "0s", "1h30m", "15M", "\u0661s", 15, None, True,
    "1s\n", "9" * 30 + "d",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_DURATIONS)
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        options(timeout=value).duration("timeout", default=timedelta())
    assert '"15m"' in caught.value.hint
    assert caught.value.key_path == "timeout"


@pytest.mark.parametrize("value", ["sh -c x", [], [""], ["a", 1], ["a\0b"], None, {"a": 1}, 3])
def test_a_list_of_texts_is_a_list_of_texts(value: object) -> None:
    with pytest.raises(ConfigError):
        options(argv=value).texts("argv")


@pytest.mark.parametrize("value", ["", 1, None, ["x"], "a\0b", False])
def test_a_text_is_a_text(value: object) -> None:
    with pytest.raises(ConfigError):
        options(root=value).text("root")


@pytest.mark.parametrize("value", ["Keep", "", None, True, 0, ["keep"]])
def test_a_choice_is_one_of_the_choices(value: object) -> None:
    with pytest.raises(ConfigError, match="newline") as caught:
        options(newline=value).choice("newline", among=("keep", "strip-one"))
    assert '"keep" or "strip-one"' in caught.value.hint


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_items_and_tables_have_their_shape(value: object) -> None:
    with pytest.raises(ConfigError):
        options(argv=value).items("argv")
    if value is not None:
        with pytest.raises(ConfigError):
            options(argv=value).table("argv")


def test_a_value_is_never_in_the_message() -> None:
    pasted = "sk-ant-api03-" + "x" * 20
    with pytest.raises(ConfigError) as caught:
        options(newline=pasted).choice("newline", among=("keep",))
    assert pasted not in str(caught.value) + caught.value.hint


def test_nearest_ignores_case_and_gives_up_on_strangers() -> None:
    assert nearest("ANTHROPIC_KEY", ["anthropic_keys"]) == "anthropic_keys"
    assert nearest("x", ["completely", "different"]) == ""
    assert nearest("x", []) == ""


def test_references_numbers_and_switches_come_back_typed() -> None:
    read = Options(
        {"token": "env:A", "most": 3, "on": True, "name": "n"},
        type_name="spiffe",
        known=("token", "most", "on", "off", "name", "none"),
        noun="identity",
    )
    assert read.ref("token") == SecretRef("env", "A")
    assert read.ref("none") is None
    assert read.count("most", default=1, most=3) == 3
    assert read.flag("on")
    assert not read.flag("off")
    assert read.required("name") == "n"
    assert "on" in read
    assert "off" not in read


@pytest.mark.parametrize(
    "ask",
    [
        lambda read: read.ref("value"),
        lambda read: read.count("value", default=1, most=5),
        lambda read: read.flag("value"),
        lambda read: read.required("missing"),
    ],
)
@pytest.mark.parametrize("value", ["hunter2", 6, [1], 0])
def test_what_is_not_of_its_type_is_refused_where_it_stands_without_its_value(ask, value) -> None:
    outer = Options({"auth": {"value": value}}, type_name="vault", known=("auth",))
    inner = outer.inner("auth", known=("value", "missing"))
    with pytest.raises(ConfigError) as caught:
        ask(inner)
    assert caught.value.key_path.startswith("auth.")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_an_unknown_option_of_an_inner_table_says_where_it_is() -> None:
    outer = Options({"auth": {"audi": "x"}}, type_name="vault", known=("auth",))
    with pytest.raises(ConfigError, match="vault provider") as caught:
        outer.inner("auth", known=("method",))
    assert caught.value.key_path == "auth.audi"
