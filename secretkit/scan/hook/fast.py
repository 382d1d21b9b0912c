"""Fast: what the git hook runs, as ``python -I -S …/fast.py STAGE [--git PROGRAM] [ARGUMENT…]``.

A clean commit is passed without ``site`` and with next to no imports. Anything else goes on in this
process, in full. Whatever goes wrong, the commit is stopped with a reason: exit code 3.
"""

# A script that the interpreter compiles each time, so it is short, and loads no pathlib.
# ruff: noqa: PTH100, PTH120, TID251
from __future__ import annotations

import os
import sys


def _main() -> int:
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    root, words = os.path.dirname(package), sys.argv[1:]
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    # Its __init__ loads typing; without it, what is loaded stands beside this very file.
    bare = sys.modules["secretkit"] = type(sys)("secretkit")
    bare.__path__ = [package]
    from secretkit.scan.hook.setting import command, has_settings  # noqa: PLC0415 - needs the line above

    stage, rest = (words[0], words[1:]) if words else ("pre-commit", [])
    program = ""
    if rest[:1] == ["--git"]:
        program, rest = rest[1], rest[2:]
    if program and has_settings(os.environ):
        os.execv(sys.executable, command(stage, rest, program=program, root=root))  # noqa: S606 - by no shell
    glanced = None
    if stage == "pre-commit" and program and not rest:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        home = os.path.dirname(os.path.dirname(sys.executable))
        try:
            from secretkit.scan.hook.glance import glance  # noqa: PLC0415 - not for a push

            places = [root, f"{home}/lib/{name}/site-packages"]
            glanced = glance(program=program, paths=places, environ=os.environ)
        except Exception:  # noqa: BLE001, S110 - whatever it was, the full scan looks again
            pass
    if isinstance(glanced, str):
        os.write(2, f"{glanced}\n".encode())
        return 0
    import gc  # noqa: PLC0415 - see below
    import site  # noqa: PLC0415 - 3 ms that a clean commit does not pay

    gc.disable()  # nothing that is imported becomes garbage, and looking for it takes a tenth
    if glanced is None:
        site.main()
    from secretkit.scan.hook.stage import main  # noqa: PLC0415 - see above

    gc.freeze()
    gc.enable()
    return main(stage, rest, program=program, environ=os.environ, glanced=glanced)


try:
    _code = _main()
except BaseException as error:  # noqa: BLE001 - without an answer nothing is let through
    sys.stderr.write(
        f"secretkit: nothing was scanned, so this is stopped: {type(error).__name__}\n"
    )
    sys.stderr.write("hint: run `secretkit hook selftest`, or install secretkit again\n")
    _code = 3
sys.stdout.flush()
sys.stderr.flush()
os._exit(_code)
