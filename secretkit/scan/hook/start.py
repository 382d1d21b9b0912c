"""Start: which way a hook goes: at a glance, in full, or by the settings of the user.

It is compiled once, unlike the script that calls it, and imports nothing slow.
"""

# No pathlib on the way of the git hook.
# ruff: noqa: PTH120
from __future__ import annotations

import gc
import os
import sys

from secretkit.scan.hook.setting import command, has_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.scan.hook.glance import Glanced

__all__ = ["main"]


def main(words: list[str], *, root: str, environ: Mapping[str, str]) -> int:
    """Run the hook that ``words`` name, and give the exit code of :mod:`secretkit.scan.hook.stage`.

    ``root`` is where the package lies. For a process of its own: collects no garbage at first, as
    nothing that is imported or scanned at a glance becomes any, and looking for it takes a tenth.
    """
    gc.disable()
    stage, rest = (words[0], words[1:]) if words else ("pre-commit", [])
    program = ""
    if rest[:1] == ["--git"]:
        program, rest = rest[1], rest[2:]
    if program and has_settings(environ):
        os.execv(sys.executable, command(stage, rest, program=program, root=root))  # noqa: S606 - by no shell
    glanced = None
    if stage == "pre-commit" and program and not rest:
        glanced = _glanced(program, root, environ)
    if isinstance(glanced, str):
        os.write(2, f"{glanced}\n".encode())
        return 0
    if glanced is None:
        import site  # noqa: PLC0415 - 3 ms that a clean commit does not pay

        site.main()
    from secretkit.scan.hook.stage import main as full  # noqa: PLC0415 - for the few that are not clean

    gc.freeze()
    gc.enable()
    return full(stage, rest, program=program, environ=environ, glanced=glanced)


def _glanced(program: str, root: str, environ: Mapping[str, str]) -> str | Glanced | None:
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    home = os.path.dirname(os.path.dirname(sys.executable))
    try:
        from secretkit.scan.hook.glance import glance  # noqa: PLC0415 - not for a push

        places = [root, f"{home}/lib/{name}/site-packages"]
        return glance(program=program, paths=places, environ=environ)
    except Exception:  # noqa: BLE001 - whatever it was, the full scan looks again
        return None
