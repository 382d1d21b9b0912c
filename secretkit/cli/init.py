"""``secretkit init``: a configuration to start from, and the encrypted local store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from secretkit.cli.output import print_json
from secretkit.cli.root import Command
from secretkit.config.load import FILE_NAME, user_file
from secretkit.config.owned import check_directory, read_owned
from secretkit.config.place import state_dir
from secretkit.config.trust import digest, trust, trusted_digest
from secretkit.errors import ConfigError
from secretkit.providers.local import LocalProvider

if TYPE_CHECKING:
    from pathlib import Path

    from secretkit.cli.session import Session

__all__ = ["command"]

_TEMPLATE: Final = """\
# secretkit: references only, so this file is safe to commit. A secret in it is refused.
# A reference is provider:path[#field][@version]; env, dotenv, file, keyring and local need no
# table of their own.

[credentials.claude]
kind = "anthropic-api-key"
source = "local:claude"        # or a list: the next one is used when the first is refused

# [leases]
# ttl = "15m"                  # how long a lease lasts
# renew_at = 0.6               # of the life granted; renewed in the background

# [providers.local]            # only to change its defaults
# type = "local"
# key = { type = "keyring" }   # default: a key file beside the store

# [ledger]
# url = "postgresql://db.internal/secretkit"     # default: SQLite in your state directory
"""


@click.command("init", cls=Command)
@click.option("--here", is_flag=True, help="Write secretkit.toml into the current directory.")
@click.pass_obj
def command(session: Session, *, here: bool) -> None:
    """Write a commented secretkit.toml and create the local store with a key file.

    What is there already is left as it is.
    """
    file = session.config_file or (session.cwd / FILE_NAME if here else user_file(session.environ))
    wrote = _write_new(file)
    trusted = not here or _trusted(file, wrote=wrote, state=state_dir(session.environ))
    store, created = _create_store(session)
    if session.json:
        print_json(
            {
                "config": str(file),
                "config_written": wrote,
                "config_trusted": trusted,
                "store": store,
                "store_created": created,
            }
        )
        return
    session.say(f"{'wrote' if wrote else 'kept'} {file}{'' if trusted else ', not trusted'}")
    session.say(f"{'created' if created else 'kept'} the local store {store}")
    session.say("next: secretkit set claude")


def _write_new(file: Path) -> bool:
    """Write the template unless the file is there; say whether it was written."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.path.lexists(file):
            check_directory(file.parent)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", hint=f"ls -ld {file.parent}", file=str(file)
        ) from None
    with os.fdopen(handle, "w") as opened:
        os.fchmod(handle, 0o644)  # it holds no secret, and must not be writable by a group
        opened.write(_TEMPLATE)
    return True


def _trusted(file: Path, *, wrote: bool, state: Path) -> bool:
    """Trust what was just written, and say whether what was there already is trusted."""
    if wrote:
        trust(file, state_dir=state)
        return True
    noted = trusted_digest(file, state_dir=state)
    try:
        return bool(noted) and digest(read_owned(file)) == noted
    except (ConfigError, FileNotFoundError):
        return False


def _create_store(session: Session) -> tuple[str, bool]:
    provider = session.toolkit.provider("local")
    if not isinstance(provider, LocalProvider):
        raise ConfigError(
            "the provider named local is not of type local, so no store can be made for it",
            hint='set type = "local", or give it another name',
            key_path="providers.local.type",
        )
    return provider.path, provider.create_if_blank()
