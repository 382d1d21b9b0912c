"""The command tree: which commands there are, imported when one is used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from secretkit.cli import exits
from secretkit.cli.output import prose
from secretkit.cli.session import Session, given_name
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta


__all__ = ["Command", "LazyGroup", "root", "run"]

_COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "init": ("init", "Write a configuration and create the local store."),
    "demo": ("demo", "Watch a client survive key rotation, offline."),
    "set": ("set", "Store a secret: hidden prompt, or - for standard input."),
    "get": ("get", "Print one secret."),
    "list": ("list", "List credentials and stored secrets, without values."),
    "rm": ("rm", "Remove a secret and its versions."),
    "run": ("run", "Run a command that is given credentials."),
    "token": ("token", "Print a short-lived credential, for helpers."),
    "aws": ("aws", "Give leased AWS credentials to AWS's own tools and SDKs."),
    "federation": ("federation", "Have Claude trust a workload's identity; keep a profile."),
    "lease": ("lease", "Look at leases, or revoke one."),
    "provider": ("provider", "List stores, or test that they answer."),
    "identity": ("identity", "Show who this workload is, or issue identities."),
    "scan": ("scan", "Find leaked keys in files, staged changes or history."),
    "hook": ("hook", "Stop commits and pushes that bring leaked keys."),
    "audit": ("audit", "Read the audit, or verify its chain."),
    "config": ("config", "Show, locate or trust a configuration."),
    "status": ("status", "Show each credential's generation, age and last error."),
    "completion": ("completion", "Print a shell completion script."),
    "version": ("version", "Print versions."),
}

_EPILOG: Final = (
    "Exit codes: 0 done, 1 findings or a failed check, 2 usage or configuration, 3 denied or not "
    "scanned in full, 4 store unreachable, 5 not found, 6 refused by a grant or budget, 70 a bug, "
    "130 Ctrl-C. "
    "'run' gives its command's code; 125 to 127 mean that it was not started.\n\n"
    "Environment: SECRETKIT_CONFIG, SECRETKIT_LEDGER_URL, SECRETKIT_TIMEOUT, NO_COLOR."
)


def _session(ctx: click.Context) -> Session:
    found = ctx.find_object(Session)
    if found is None:
        found = ctx.ensure_object(Session)
    return found


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's
    """Put one global option into the session; one that was not given changes nothing."""
    session = _session(ctx)
    if value is None or value is False or value == 0:
        return
    if param.name == "no_color":
        session.color = "never"
    elif param.name == "timeout":
        session.timeout = _duration(value)
    else:
        setattr(session, str(param.name), value)


def _duration(text: str) -> timedelta:
    from secretkit.config.duration import parse_duration  # noqa: PLC0415 - rarely given

    try:
        return parse_duration(text)
    except ConfigError as error:
        message = f"--timeout: {error}; {error.hint}"
    raise click.UsageError(message)


def _global_options() -> list[click.Option]:
    shared: dict[str, Any] = {"expose_value": False, "callback": _note}
    return [
        click.Option(
            ["-c", "--config", "config_file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Use this configuration file.",
            **shared,
        ),
        click.Option(["--json"], is_flag=True, help="Print JSON on stdout.", **shared),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors.", **shared),
        click.Option(["-v", "--verbose"], is_flag=True, help="Log to stderr.", **shared),
        click.Option(
            ["--no-color"], is_flag=True, help="No colour; NO_COLOR does the same.", **shared
        ),
        click.Option(
            ["--timeout"],
            metavar="10s",
            help="How long one store may take.",
            **shared,
        ),
    ]


class _ReaderGoneError(Exception):
    """Carries a broken pipe past click."""


class Command(click.Command):
    """A command that takes the global options after its name as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_options()]

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run it, after noting its full name for messages."""
        session = _session(ctx)
        session.command = ctx.command_path.partition(" ")[2]
        if session.verbose:
            from secretkit.cli.verbose import log_to_stderr  # noqa: PLC0415 - only with -v

            log_to_stderr()
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # click would end the process with exit code 1, as for a failed check.
            raise _ReaderGoneError from None


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - click's signature
        self._lazy: Mapping[str, tuple[str, str]] = kwargs.pop("lazy", {})
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_options()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give all names, in the order of a first use."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"secretkit.cli.{self._lazy[cmd_name][0]}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"secretkit.cli.{cmd_name}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from what is known without importing them."""
        if not self._lazy:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])


root = LazyGroup(
    "secretkit",
    lazy=_COMMANDS,
    help="Short-lived credentials for Claude, from the secret store you already have.",
    epilog=_EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def run(arguments: Sequence[str], session: Session) -> int:
    """Run the command that ``arguments`` name and give its exit code.

    Raises:
        KeyboardInterrupt: for Ctrl-C, also at a prompt.
        BrokenPipeError: if nobody reads stdout any more.
        SecretkitError: what the command met.
    """
    try:
        code = root.main(list(arguments), prog_name="secretkit", standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:
        prose(*error.ctx.get_help().splitlines())
        return exits.USAGE
    except click.UsageError as error:
        return _usage(error, session)
    except _ReaderGoneError:
        raise BrokenPipeError from None
    except click.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else exits.OK


def _usage(error: click.UsageError, session: Session) -> int:
    message = given_name(error.format_message())  # it quotes what was typed
    path = error.ctx.command_path if error.ctx else "secretkit"
    prose(f"{path}: this is not how it is called", message, f"hint: {path} --help")
    named = path.split()[1:2] or [session.command]
    return exits.NOT_STARTED if named == ["run"] else exits.USAGE
