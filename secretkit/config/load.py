"""Finds the configuration file and reads it.

One file is in force; nothing is merged. In order: the file given by argument, the one named by
``SECRETKIT_CONFIG``, the project's own in the current directory if the user trusts it, the one in
the user's configuration directory. A file that was named and is not there is an error.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from secretkit.config.duration import parse_duration
from secretkit.config.origin import KeyPath, Origin, OriginKind
from secretkit.config.owned import read_owned
from secretkit.config.parse import parse_config
from secretkit.config.place import config_dir, home_dir, state_dir
from secretkit.config.schema import Config
from secretkit.config.trust import digest, trusted_digest
from secretkit.core.record import record, replace
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

__all__ = [
    "FILE_NAME",
    "default_ledger_url",
    "find_and_load",
    "project_file",
    "user_file",
    "with_timeout",
]

FILE_NAME: Final = "secretkit.toml"
_PYPROJECT: Final = "pyproject.toml"
_TOOL: Final[KeyPath] = ("tool", "secretkit")
_SQLITE_HOME: Final = "sqlite:///~/"


@record(kw_only=True)
class _Place:
    """A file to read. ``trusted`` is the digest its content must have; empty: any content."""

    path: Path
    named: bool = True
    trusted: str = ""

    @property
    def prefix(self) -> KeyPath:
        return _TOOL if self.path.name == _PYPROJECT else ()


def find_and_load(explicit: Path | None, *, environ: Mapping[str, str], cwd: Path) -> Config:
    """Give the configuration in force. Thread-safe; reads one file, or none.

    Without any file every value is a default and ``file`` is None. A project's file that is not
    trusted is not read; ``notices`` says so.

    Raises:
        ConfigError: which names file, line and key path, and what was expected.
    """
    places, notices = _places(explicit, environ=environ, cwd=cwd)
    config = Config()
    for place in places:
        found = _read(place)
        if isinstance(found, ConfigError):
            raise found
        if found is not None:
            config = found
            break
        if place.named:
            raise ConfigError(
                "there is no such file", hint="secretkit init writes one", file=str(place.path)
            )
        if place.trusted:
            notices = (*notices, _notice(place.path, "changed since it was trusted"))
    config = replace(config, notices=notices, ledger_url=_ledger_url(config.ledger_url, environ))
    return _overridden(config, environ)


def user_file(environ: Mapping[str, str]) -> Path:
    """Give the path of the user's own configuration, whether it exists or not."""
    return config_dir(environ) / FILE_NAME


def project_file(cwd: Path) -> Path | None:
    """Give the project's own file in this directory, without reading it."""
    return next((cwd / name for name in (FILE_NAME, _PYPROJECT) if (cwd / name).is_file()), None)


def default_ledger_url(environ: Mapping[str, str]) -> str:
    """Give the ledger's place when nothing else is said: SQLite in the user's state directory."""
    return f"sqlite:///{_in_url(state_dir(environ) / 'ledger.db')}"


def with_timeout(config: Config, timeout: timedelta, *, origin: Origin) -> Config:
    """Give ``config`` with another time limit for one fetch, or refuse it with ConfigError."""
    try:
        policy = replace(config.policy, fetch_timeout=timeout)
    except ConfigError as error:
        raise ConfigError(f"{origin.place}: {error.args[0]}", hint="for example 10s") from None
    return replace(
        config,
        policy=policy,
        origins=MappingProxyType({**config.origins, "leases.fetch_timeout": origin}),
    )


def _places(
    explicit: Path | None, *, environ: Mapping[str, str], cwd: Path
) -> tuple[list[_Place], tuple[str, ...]]:
    if explicit is not None:
        return [_Place(path=_absolute(explicit, environ=environ, cwd=cwd))], ()
    named = environ.get("SECRETKIT_CONFIG")
    if named is not None:
        if not named:
            raise ConfigError(
                "SECRETKIT_CONFIG is set and empty", hint="unset it, or let it name a file"
            )
        return [_Place(path=_absolute(Path(named), environ=environ, cwd=cwd))], ()
    user = _Place(path=user_file(environ), named=False)
    project = project_file(cwd)
    if project is None or (project.name == FILE_NAME and project.absolute() == user.path):
        return [user], ()
    trusted = trusted_digest(project, state_dir=state_dir(environ))
    if trusted:
        return [_Place(path=project.absolute(), named=False, trusted=trusted), user], ()
    # A pyproject.toml stands in every Python project; only one that was trusted before is ours.
    quiet = project.name == _PYPROJECT
    return [user], () if quiet else (_notice(project, "not trusted"),)


def _notice(path: Path, why: str) -> str:
    return f"{path} is ignored: {why}; read it, then run: secretkit config trust"


def _absolute(path: Path, *, environ: Mapping[str, str], cwd: Path) -> Path:
    if path.parts[:1] == ("~",):
        return home_dir(environ).joinpath(*path.parts[1:])
    return cwd / path


def _read(place: _Place) -> Config | ConfigError | None:
    """Give what the file says; None if it is not there or is not what was trusted."""
    try:
        raw = read_owned(place.path)
    except FileNotFoundError:
        return None
    if place.trusted and digest(raw) != place.trusted:
        return None
    return parse_config(raw, file=place.path, prefix=place.prefix)


def _ledger_url(stated: str, environ: Mapping[str, str]) -> str:
    if not stated:
        return default_ledger_url(environ)
    if stated.startswith(_SQLITE_HOME):
        return f"sqlite:///{_in_url(home_dir(environ))}/{stated.removeprefix(_SQLITE_HOME)}"
    return stated


def _in_url(path: Path) -> str:
    """Give a path as it stands in a URL; the ledger decodes it."""
    return str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def _overridden(config: Config, environ: Mapping[str, str]) -> Config:
    """Apply the two environment variables that stand above the file."""
    if "SECRETKIT_TIMEOUT" in environ:
        config = with_timeout(
            config, _timeout(environ["SECRETKIT_TIMEOUT"]), origin=_variable("SECRETKIT_TIMEOUT")
        )
    if "SECRETKIT_LEDGER_URL" in environ:
        if not environ["SECRETKIT_LEDGER_URL"].startswith(("sqlite:", "postgresql")):
            raise ConfigError(
                "SECRETKIT_LEDGER_URL: a sqlite: or postgresql: URL was expected",
                hint="export SECRETKIT_LEDGER_URL=sqlite:////path/to/ledger.db",
            )
        origins = {**config.origins, "ledger.url": _variable("SECRETKIT_LEDGER_URL")}
        config = replace(
            config,
            ledger_url=_ledger_url(environ["SECRETKIT_LEDGER_URL"], environ),
            origins=MappingProxyType(origins),
        )
    return config


def _variable(name: str) -> Origin:
    return Origin(kind=OriginKind.ENVIRONMENT, place=name)


def _timeout(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise ConfigError(f"SECRETKIT_TIMEOUT: {error.args[0]}", hint=error.hint) from None
