"""What the documents say is run, read or looked up; ``pages`` says how a page is written."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import page_amazon
import page_aws
import page_federation
import page_vault
from pages import BIN, KEY, LIMIT, ROOT, Block, Session, blocks, lines, matches, prose
from secretkit import wiring
from secretkit.cli.demo import _table
from secretkit.cli.rehearsal import Figures
from secretkit.cli.root import root as command_tree
from secretkit.cli.session import Session as CliSession
from secretkit.config.duration import write_duration
from secretkit.config.parse import _LEASES, parse_config
from secretkit.config.schema import BUILT_IN_PROVIDERS, STORED_KINDS, Config
from secretkit.core.freshness import LeasePolicy
from secretkit.core.secret import Secret
from secretkit.providers.registry import BUILT_IN
from secretkit.scan.rule import built_in_rules
from secretkit.testing import ClaudeStub

README = ROOT / "README.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*.md"),
    ]
)
SESSIONS = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [block for page in PAGES for block in blocks(page)]
NOT_RUN = 6  # blocks that no test runs; each says why in its page


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def place(block: Block) -> str:
    return block.place


# -- sessions and Python ---------------------------------------------------------------------------

PYTHON = """
import json, sys
space = {"__name__": "__main__"}
for line, name, code in json.load(sys.stdin):
    exec(compile("\\n" * line + code, name, "exec"), space)
"""
_CONNECT = re.compile(r"\b((?:connect|connect_async|(?:async_)?client_arguments)\(\s*\"claude\")")


def helps(block: Block) -> bool:
    return all(re.fullmatch(r"secretkit\b.* --help", command) for command, _ in block.steps)


def run_block(session: Session, block: Block) -> None:
    results = session.run(block)
    assert len(results) == len(block.steps), f"{block.place}: the shell ended early: {results[-1:]}"
    compared = any(shown for _, shown in block.steps)
    for (command, shown), (code, screen) in zip(block.steps, results, strict=True):
        assert code == 0, f"{block.place}: $ {command}\n{screen}\nexit code {code}"
        if compared:
            assert matches("\n".join(shown), screen), f"{block.place}: $ {command}\n{screen}"


@contextmanager
def no_other(session: Session) -> Iterator[Callable[[], int]]:
    """Most pages ask no other server than the stand-in for the Claude API."""
    del session
    yield lambda: 0


# What stands in for other servers while a page is run: each gives what counts its answers.
WORLDS = {
    "aws.md": page_aws.aws,
    "claude-on-aws.md": page_amazon.amazon,
    "federation.md": page_federation.federation,
    "vault.md": page_vault.vault,
}


def run_python(session: Session, page: Path, answered: Callable[[], int]) -> None:
    """Run the page's Python blocks in one namespace; the stand-in takes the place of the API."""
    found = [b for b in blocks(page) if b.kind == "python" and not b.mark]
    if not found:
        return
    with ClaudeStub() as stub:
        stub.keys.accept(Secret(KEY), label="page")
        code = [
            (b.line, b.place, _CONNECT.sub(rf"\1, base_url={stub.url!r}", b.body)) for b in found
        ]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PYTHON],
            input=json.dumps(code),
            cwd=session.cwd,
            env=session.environ,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        asked = stub.count(status=200) + answered()
    assert done.returncode == 0, done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
    assert asked or "messages.create" not in "".join(b.body for b in found if "connect" in b.body)


@pytest.mark.parametrize("page", SESSIONS, ids=page_name)
def test_a_page_does_what_it_shows(page, tmp_path):
    tmp_path.chmod(0o700)
    session = Session(tmp_path)
    with WORLDS.get(page.name, no_other)(session) as answered:
        for block in blocks(page):
            if block.mark == "file":
                session.write(block)
            elif block.kind == "console" and not block.mark and not helps(block):
                run_block(session, block)
        run_python(session, page, answered)


@pytest.mark.parametrize("page", SESSIONS, ids=page_name)
def test_the_help_texts_are_those_of_the_commands(page):
    for block in blocks(page):
        for command, shown in block.steps if block.kind == "console" and helps(block) else ():
            words = command.split()[1:]
            result = CliRunner().invoke(
                command_tree, words, prog_name="secretkit", terminal_width=100
            )
            # Where lines break depends on the terminal.
            expected, printed = " ".join("\n".join(shown).split()), " ".join(result.output.split())
            assert matches(expected, printed), f"{block.place}: {result.output}"


def test_every_command_has_its_help_on_the_page():
    shown = {command for b in blocks(ROOT / "docs/cli.md") for command, _ in b.steps}
    assert {f"{name} --help".strip() for name in commands()} <= shown


def test_what_is_not_run_says_why_and_is_little(record_property):
    skipped = [block for block in BLOCKS if block.mark == "not run"]
    for block in skipped:
        record_property("not run", f"{block.place}: {block.text}")
        assert len(block.text.split()) >= 3, f"{block.place}: say why"
    assert len(skipped) <= NOT_RUN, [f"{block.place}: {block.text}" for block in skipped]


def test_every_block_is_of_a_kind_that_is_looked_at():
    known = {"console", "python", "toml", "ini", "json", "markdown", ""}
    assert {block.kind for block in BLOCKS} <= known
    for block in BLOCKS:
        if block.kind == "console":
            assert block.steps, f"{block.place}: a session has lines that start with '$ '"
        if block.kind == "python" and block.mark == "file":
            used = [b for b in blocks(block.page) if b.kind == "console" and block.text in b.body]
            assert used, f"{block.place}: no session uses {block.text}"
    outside = [block.place for block in BLOCKS if block.page not in SESSIONS and not block.mark]
    kinds = {block.kind for block in BLOCKS if block.place in outside}
    assert kinds <= {"console", "markdown", ""}, "Python and TOML belong to pages that are run"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "json"], ids=place)
def test_a_json_document_has_the_keys_of_a_real_one(block, tmp_path):
    (tmp_path / "config.py").write_text(f'KEY = "{KEY}"\n')
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = ["scan", "--format", "json", str(tmp_path)]
    result = CliRunner(env=environ).invoke(command_tree, command, prog_name="secretkit")
    shown, real = json.loads(block.body), json.loads(result.stdout)
    if "findings" not in shown:  # a part of one finding
        assert shown.keys() <= {*real["findings"][0], "live"}
        return
    assert shown.keys() == real.keys()
    assert shown["stats"].keys() == real["stats"].keys()
    (finding,) = shown["findings"]
    assert finding.keys() == real["findings"][0].keys()
    assert finding["rule"] == real["findings"][0]["rule"]
    assert finding["end_column"] == real["findings"][0]["end_column"]


# -- TOML and repeated files -----------------------------------------------------------------------

TOML = [block for block in BLOCKS if block.kind == "toml" and block.mark != "same as"]


@pytest.mark.parametrize("block", TOML, ids=place)
def test_a_configuration_on_a_page_can_be_used(block, tmp_path):
    config = parse_config(block.body.encode(), file=tmp_path / "secretkit.toml")
    assert isinstance(config, Config), config
    home = {"HOME": str(tmp_path)}
    with wiring.Toolkit(config, environ=home) as toolkit:
        for name, table in config.providers.items():
            if table.type in BUILT_IN_PROVIDERS:
                toolkit.provider(name)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.mark == "same as"], ids=place)
def test_a_repeated_file_is_the_file(block):
    assert block.body == (ROOT / block.text).read_text()
    if block.kind == "toml":
        tomllib.loads(block.body)


# -- the tables of docs/configuration.md and docs/providers.md -------------------------------------

CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def test_every_key_of_leases_is_there_with_its_default():
    rows = dict(re.findall(r"^\| `leases\.(\w+)` \| `([^`]+)` \|", CONFIGURATION, re.MULTILINE))
    assert rows.keys() == set(_LEASES)
    for key, shown in rows.items():
        default = getattr(LeasePolicy(), key)
        plain = default if isinstance(default, int | float) else f'"{write_duration(default)}"'
        assert shown == str(plain), key


def test_every_kind_and_every_provider_is_there():
    assert all(f'`"{kind}"`' in CONFIGURATION for kind in (*STORED_KINDS, *BUILT_IN_PROVIDERS))
    guide = (ROOT / "docs/providers.md").read_text()
    assert BUILT_IN.keys() == BUILT_IN_PROVIDERS
    assert all(f"\n## {name}\n" in guide for name in BUILT_IN_PROVIDERS)


@cache
def messages() -> str:
    """All text in the package's code, one string a line; what is filled in is NUL."""
    found = []
    for path in (ROOT / "secretkit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "\0" for v in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_error_that_the_guide_explains_exists():
    rows = re.findall(
        r"^\| (`[^|]+`) \| \w", (ROOT / "docs/providers.md").read_text(), re.MULTILINE
    )
    quoted = [text for row in rows for text in re.findall(r"`([^`]+ [^`]+)`", row)]
    errors = [text for text in quoted if not re.match(r"[{\[]", text)]
    shown = "\n".join(block.body for block in BLOCKS if block.kind == "console" and not block.mark)
    assert len(errors) > 15
    for text in errors:
        pattern = re.sub(r"…|\bN\b", "\0.*", re.sub(r"([()\\.])", r"\\\1", text))
        said = messages() + shown  # a message may be put together from several strings
        assert re.search(pattern.replace("\0.*", ".+"), said), f"nothing says {text!r}"


# -- links, paths, commands ------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page_name(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", prose(found), re.MULTILINE)
            assert anchor in {slug(one) for one in headings}, f"{page_name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_that_is_named_exists(page):
    for name in re.findall(r"`([\w.-]+/[\w./-]+\.(?:py|md|toml))`", prose(page)):
        if not re.search(r"NAME|ISSUER|NNNN", name):
            places = (ROOT / name, ROOT / "secretkit" / name, page.parent / name)
            assert any(path.exists() for path in places), f"{page_name(page)} names {name}"


def test_every_room_is_in_the_picture():
    picture = blocks(ROOT / "docs/architecture.md")[0].body
    rooms = {path.stem for path in (ROOT / "secretkit").iterdir() if path.name[0] not in "_."}
    assert rooms - {"py"} <= set(re.findall(r"\w+", picture))


@cache
def commands() -> dict[str, set[str]]:
    """Every command by its full name, with its options."""
    found: dict[str, set[str]] = {}

    def walk(command: click.Command, name: str) -> None:
        options = [param.opts for param in command.params if isinstance(param, click.Option)]
        found[name] = {"-h", "--help", *(text for opts in options for text in opts)}
        if isinstance(command, click.Group):
            context = click.Context(command)
            for inner in command.list_commands(context):
                child = command.get_command(context, inner)
                assert child is not None
                walk(child, f"{name} {inner}")

    walk(command_tree, "secretkit")
    return found


def problem(text: str) -> str:
    """Say what is wrong with a command as a page writes it, or give an empty string."""
    words = text.split(" -- ", maxsplit=1)[0].split()
    name, rest = "secretkit", words[1:]
    options = set(commands()[name])
    while rest and rest[0].startswith("-"):
        if rest[0].split("=")[0] not in options:
            return f"{name} has no option {rest[0]}"
        takes_value = rest[0] in {"-c", "--config", "--timeout"}
        rest = rest[2 if takes_value else 1 :]
    while rest and f"{name} {rest[0]}" in commands():
        name, rest = f"{name} {rest[0]}", rest[1:]
    if (rest and name == "secretkit") or any(one.startswith(f"{name} ") for one in commands()):
        known = {one.rsplit(" ", 1)[1] for one in commands() if one.startswith(f"{name} ")}
        if rest and not set(rest[0].split("|")) <= known and not rest[0].startswith("-"):
            return f"{name} has no command {rest[0]}"
    options |= commands()[name]
    bad = [one for one in rest if re.match(r"--?[a-z]", one) and one.split("=")[0] not in options]
    return f"{name} has no option {bad[0]}" if bad else ""


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_command_and_option_in_prose_exists(page):
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    asked = [command for b in blocks(page) for command, _ in b.steps if b.kind == "console"]
    for text in [*spans, *asked]:
        for part in re.findall(r"(?:^|[|;(] ?)(secretkit(?: [^|;()#]+)?)(?= *(?:$|[|;()#]))", text):
            assert not problem(part.strip()), f"{page_name(page)}: {text}: {problem(part.strip())}"
    every = set().union(*commands().values()) | {"--control"}
    for text in spans:
        if re.fullmatch(r"--[a-z-]+", text):
            assert text in every, f"{page_name(page)}: no command has {text}"


@pytest.mark.parametrize(
    "text",
    [
        "secretkit nothing",
        "secretkit lease nothing",
        "secretkit set NAME --nothing",
        "secretkit -z",
    ],
)
def test_a_command_that_does_not_exist_would_be_found(text):
    assert problem(text)


@pytest.mark.parametrize(
    "text", ["secretkit run --env A=b -- CMD --x", "secretkit lease list|show|revoke", "secretkit"]
)
def test_a_command_that_exists_is_let_through(text):
    assert not problem(text)


# -- the README's figures --------------------------------------------------------------------------


def test_the_demo_of_the_readme_has_the_figures_of_the_demo(capsys):
    _table(Figures(), CliSession())
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    demos = [b for b in blocks(README) if [step for step, _ in b.steps] == ["make demo"]]
    (block,) = demos
    rows = [line.split("\t") for line in block.steps[0][1]]
    assert [row[0] for row in rows] == names
    figures = {row[0]: row[1] for row in rows}
    assert int(figures["requests answered"]) >= 2000
    assert int(figures["streams answered"]) >= 200
    assert figures["failures seen by a caller"] == figures["secrets found in logs and files"] == "0"


@pytest.mark.parametrize("page", [README, ROOT / "docs/rules.md"], ids=page_name)
def test_there_are_as_many_rules_and_issuers_as_a_page_says(page):
    text = " ".join(page.read_text().split())
    (said,) = re.findall(r"[Mm]ore than ([\d,]+) rules over more than ([\d,]+) issuers", text)
    rules, issuers = (int(number.replace(",", "")) for number in said)
    assert len(built_in_rules()) > rules >= 300
    assert len({rule.issuer for rule in built_in_rules()}) > issuers >= 150


def test_the_commands_of_make_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for name in re.findall(r"`make (\w+)|^\$ make (\w+)", page.read_text(), re.MULTILINE):
            assert set(name) - {""} <= targets, page_name(page)


# -- the machinery ---------------------------------------------------------------------------------


def test_the_comparison_can_fail():
    assert matches("a … c\n…\nz", "a  b  c\nx\ny\n\nz\n")
    assert matches("h\n───", "h\n─────────\n")
    assert not matches("a", "a\nb\n")
    assert not matches("a … c", "a b\nc\n")
    assert lines("  a   b \n\n") == ["a b"]
    assert (BIN / "secretkit").exists()
