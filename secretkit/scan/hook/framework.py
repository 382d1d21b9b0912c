"""Framework: tools that manage a repository's hooks, and the lines that make them run ours."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Framework", "frameworks", "write"]

_RUN: Final = "secretkit hook run"
_PRE_COMMIT: Final = f"""\
- repo: local
  hooks:
    - id: secretkit
      name: leaked keys
      entry: {_RUN}
      language: system
      types: []
      types_or: [file, symlink]
      require_serial: true
"""
_LEFTHOOK: Final = f"""\
pre-commit:
  commands:
    secretkit:
      run: {_RUN}
"""
_FILES: Final = (
    ("pre-commit", (".pre-commit-config.yaml", ".pre-commit-config.yml"), _PRE_COMMIT),
    ("lefthook", ("lefthook.yml", ".lefthook.yml", "lefthook.yaml", ".lefthook.yaml"), _LEFTHOOK),
    ("husky", (".husky/pre-commit", ".husky"), f"{_RUN}\n"),
)
_TOP: Final = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:", re.MULTILINE)
_REPO: Final = re.compile(r"^([ \t]*)-[ \t]+repo[ \t]*:", re.MULTILINE)


class Framework(NamedTuple):
    """A tool that manages hooks here: its configuration, and the lines to put there."""

    name: str
    file: Path
    lines: str

    @property
    def present(self) -> bool:
        """Whether its configuration runs secretkit already."""
        return (self.file.is_file() and _RUN in _text(self.file)) or self._hooked()

    def _hooked(self) -> bool:
        return self.file.is_file() and re.search(r"id:\s*secretkit\b", _text(self.file)) is not None


def frameworks(top: Path) -> list[Framework]:
    """Give the tools with a configuration at the top of a work tree; prek reads pre-commit's."""
    found = []
    for name, files, lines in _FILES:
        file = next((top / one for one in files if os.path.lexists(top / one)), None)
        if file is not None:
            found.append(Framework(name, file / "pre-commit" if file.is_dir() else file, lines))
    return found


def write(framework: Framework) -> None:
    """Put the lines into the tool's configuration; do nothing if they are there.

    Raises:
        ConfigError: if they have no clear place there. The file is as it was then.
    """
    if framework.present:
        return
    text = _text(framework.file) if framework.file.is_file() else ""
    made = _added(framework, text)
    try:
        framework.file.write_text(made, encoding="utf-8")
        if framework.name == "husky":
            framework.file.chmod(0o755)
    except OSError as error:
        raise ConfigError(f"{framework.file}: {error.strerror}", hint="add the lines") from None


def _added(framework: Framework, text: str) -> str:
    body = text if not text or text.endswith("\n") else f"{text}\n"
    if framework.name == "husky":
        return body + framework.lines
    keys = _TOP.findall(body)
    if framework.name == "lefthook":
        if "pre-commit" in keys:
            raise _unclear(framework)
        return body + framework.lines
    if not keys or keys[-1] != "repos" or _TOP.sub("", body).rstrip().endswith("]"):
        raise _unclear(framework)
    first = _REPO.search(body)
    indent = first[1] if first else "  "
    return body + "".join(f"{indent}{line}\n" for line in framework.lines.splitlines())


def _unclear(framework: Framework) -> ConfigError:
    return ConfigError(
        f"{framework.file}: it is not clear where the lines belong",
        hint="put them there by hand: secretkit hook install prints them",
    )


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {type(error).__name__}", hint="look at the file") from None
