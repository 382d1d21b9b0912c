"""The scripts that git runs are plain sh, and any path survives them."""

from __future__ import annotations

import subprocess

import pytest

from secretkit.scan.hook.script import HOOKS, forwarder, hook_script, is_ours, quoted


@pytest.mark.parametrize("text", ["a b", "it's", '"$HOME`id`\\', "a\nb", "", "-n", "'''"])
def test_a_quoted_word_is_that_very_text(text):
    done = subprocess.run(
        ["sh", "-c", f"printf %s {quoted(text)}"], capture_output=True, check=True
    )
    assert done.stdout.decode() == text


@pytest.mark.parametrize("stage", HOOKS)
def test_scripts_are_sh_and_are_known_as_ours(stage):
    text = hook_script(stage, python="/p y", fast="/f", git="/g", previous='"x"')
    for script in (text, forwarder(stage, git="/g")):
        subprocess.run(["sh", "-n"], input=script.encode(), check=True)
        assert script.startswith("#!/bin/sh\n")
        assert is_ours(script.encode())
    assert not is_ours(b"#!/bin/sh\nexec lefthook\n")
