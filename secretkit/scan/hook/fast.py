"""Fast: what the git hook runs, as ``python -I -S …/fast.py STAGE [--git PROGRAM] [ARGUMENT…]``.

A clean commit is passed without ``site`` and with next to no imports. Anything else goes on in this
process, in full. Whatever goes wrong, the commit is stopped with a reason: exit code 3.
"""

# A script is compiled each time, for 1 ms, so it is short; it loads no pathlib.
# ruff: noqa: PTH100, PTH120, TID251
from __future__ import annotations

import os
import sys

try:
    for _number in (0, 1, 2):
        try:
            os.fstat(_number)
        except OSError:
            os.open("/dev/null", os.O_RDWR)
    _package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # Its __init__ loads typing; without it, what is loaded stands beside this very file.
    _bare = sys.modules["secretkit"] = type(sys)("secretkit")
    _bare.__path__ = [_package]
    from secretkit.scan.hook.start import main

    _code = main(sys.argv[1:], root=os.path.dirname(_package), environ=os.environ)
except BaseException as error:  # noqa: BLE001 - without an answer nothing is let through
    sys.stderr.write(
        f"secretkit: nothing was scanned, so this is stopped: {type(error).__name__}\n"
    )
    sys.stderr.write("hint: run `secretkit hook selftest`, or install secretkit again\n")
    _code = 3
sys.stdout.flush()
sys.stderr.flush()
os._exit(_code)
