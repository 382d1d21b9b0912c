import tomllib

from hypothesis import given
from hypothesis import strategies as st

from secretkit.config.origin import Origin, OriginKind, dotted, key_lines, line_of

TEXT = '''# a comment with = and [brackets]
top = 1
[a]
x = """
[not.a.table]
y = 2
"""
list = [
  "one", # with ] in a comment
  "two = 3",
]
"quoted key" = 'literal \\'
[a.b]   # trailing
c.d = { e = 1, f = "}" }
last = true
[[many]]
z = 1
[[many]]
z = 2
'''


def test_each_key_stands_on_its_line():
    lines = key_lines(TEXT)
    assert lines == {
        ("top",): 2,
        ("a",): 3,
        ("a", "x"): 4,
        ("a", "list"): 8,
        ("a", "quoted key"): 12,
        ("a", "b"): 13,
        ("a", "b", "c", "d"): 14,
        ("a", "b", "last"): 15,
        ("many",): 16,
        ("many", "z"): 17,
    }


def test_a_key_in_an_inline_table_is_on_its_table_s_line():
    assert line_of(key_lines(TEXT), ("a", "b", "c", "d", "f")) == 14
    assert line_of({}, ("nowhere",)) == 0


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8),
        st.one_of(st.integers(0, 9), st.text(st.sampled_from("ab\"'\\#[]{}=\n"), max_size=12)),
        max_size=6,
    )
)
def test_the_walk_finds_every_key_that_tomllib_finds(values):
    import json

    def quoted(text):
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

    text = "".join(
        f"{quoted(key)} = {quoted(value) if isinstance(value, str) else value}\n"
        for key, value in values.items()
    )
    assert tomllib.loads(text) == values
    assert {path[0]: line for path, line in key_lines(text).items()} == {
        key: number for number, key in enumerate(values, 1)
    }


def test_a_key_that_could_be_a_secret_is_not_written_into_a_message():
    assert dotted(("credentials", "sk-ant-" + "x" * 60, "kind")) == "credentials.'…'.kind"
    assert dotted(("a", "b c")) == "a.'…'"


def test_origins_say_where():
    assert str(Origin()) == "default"
    at = Origin(kind=OriginKind.FILE, place="/x.toml", key_path="leases.ttl", line=3)
    assert str(at) == "/x.toml:3 leases.ttl"
    assert str(Origin(kind=OriginKind.ENVIRONMENT, place="A")) == "environment A"
    assert str(Origin(kind=OriginKind.ARGUMENT, place="--timeout")) == "argument --timeout"
