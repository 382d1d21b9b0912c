"""Script: the shell scripts that git runs as hooks."""

from __future__ import annotations

from typing import Final

__all__ = ["BEFORE", "FORWARDED", "HOOKS", "MARK", "forwarder", "hook_script", "is_ours", "quoted"]

HOOKS: Final = ("pre-commit", "pre-push")
"""The hooks that secretkit installs itself."""

FORWARDED: Final = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-merge-commit"),
    *("prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout"),
    *("post-merge", "pre-receive", "update", "proc-receive", "post-receive", "post-update"),
    *("reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite"),
    *("sendemail-validate", "post-index-change", *HOOKS),
)
"""The hooks that git looks for in one directory: https://git-scm.com/docs/githooks"""

BEFORE: Final = ".before-secretkit"
"""What is put behind the name of a hook that was there before."""

MARK: Final = "# Written by secretkit hook install"

_NOTE: Final = {"pre-commit": "this commit", "pre-push": "this push"}


def quoted(text: str) -> str:
    """Give ``text`` as one word of a shell script, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"


def is_ours(content: bytes) -> bool:
    """Say whether a hook was written here."""
    return f"\n{MARK}".encode() in content[:200]


def hook_script(stage: str, *, python: str, fast: str, git: str, previous: str) -> str:
    """Give the script for one hook.

    ``previous`` is the hook that runs before, as an expression of the shell. What it answers other
    than 0 is the answer. Standard input, which tells pre-push what is pushed, goes to both.
    """
    run = f'"$python" -X utf8 -I -S "$fast" {stage} --git "$git" "$@"'
    if stage == "pre-commit":
        chained = f'if [ -x "$previous" ]; then\n  "$previous" "$@" || exit\nfi\nexec {run}\n'
    else:
        chained = (
            "told=$(cat; echo .)\n"  # a shell drops the line breaks at the end
            "told=${told%.}\n"
            'if [ -x "$previous" ]; then\n'
            '  printf %s "$told" 2>/dev/null | "$previous" "$@" || exit\nfi\n'
            f'printf %s "$told" | {run}\n'
        )
    return f"""#!/bin/sh
{MARK}: stops {_NOTE[stage]} if it brings a leaked key.
# To take it out: secretkit hook install --undo
python={quoted(python)}
fast={quoted(fast)}
git={quoted(git)}
previous={previous}
if [ ! -x "$python" ] || [ ! -f "$fast" ] || [ ! -x "$git" ]; then
  echo "secretkit: $python, $fast or $git has gone: {_NOTE[stage]} is stopped" >&2
  echo "hint: install secretkit and run 'secretkit hook install', or remove $0" >&2
  exit 3
fi
{chained}"""


def forwarder(name: str, *, git: str) -> str:
    """Give the script that stands in for a repository's own hook, and runs it."""
    return f"""#!/bin/sh
{MARK} --global: runs the repository's own hook.
# To take it out: secretkit hook install --global --undo
own={own_hook(name, git=git)}
if [ -x "$own" ]; then
  exec "$own" "$@"
fi
"""


def own_hook(name: str, *, git: str) -> str:
    """Give the shell's expression for the path of a repository's own hook."""
    return f'"$({quoted(git)} rev-parse --git-common-dir)/hooks/{name}"'
