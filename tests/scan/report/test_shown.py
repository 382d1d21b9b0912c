import pytest

from secretkit.scan.report.shown import readable, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain/é.py", "plain/é.py"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\x9b\x85", "\\x9b\\x85"),
        ("\u2028\u2029\ufeff\u200b", "\\u2028\\u2029\\ufeff\\u200b"),
        ("::error::x", ":\\x3aerror:\\x3ax"),
        (":::", ":\\x3a:"),
        ("##[error]", "#\\x23[error]"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_does_not_print_or_commands_is_escaped(text, seen):
    assert shown(text) == seen


def test_readable_keeps_what_can_be_encoded():
    assert readable("a\nb\u202e") == "a\nb\u202e"
    assert readable("\udc80\udcff") == "\\x80\\xff"
