"""Runs every example against a stand-in for the Claude API, with a key change under way."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from secretkit.core.secret import Secret
from secretkit.testing import ClaudeStub
from secretkit.testing.aws import ACCOUNT, AwsStub, Call, Trust

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PACKAGE = EXAMPLES / "provider_package"
FILES = sorted(EXAMPLES.rglob("*.py"))
LIMIT = 60.0  # seconds after which a process counts as hung
SOON = 20.0  # seconds within which a running example must get on


def need(module: str) -> None:
    """Skip without ``module``, unless this is CI, where it must be there."""
    if subprocess.run([sys.executable, "-c", f"import {module}"], check=False).returncode:
        reason = f"{module} is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


class World:
    """A stand-in, a key in a mounted file, a configuration that names it, and a way to change it.

    Examples are given the configuration's path and the stand-in's URL, and nothing else.
    """

    def __init__(self, home: Path, stub: ClaudeStub) -> None:
        self.home = home
        self.stub = stub
        self.config = home / "secretkit.toml"
        self.keys: list[str] = []
        self.change_key()
        self.config.write_text(
            f'[credentials.claude]\nkind = "anthropic-api-key"\nsource = "file:{home}/key"\n'
        )

    def change_key(self) -> None:
        """Issue a key, put it into the mounted file, and refuse the one before it at once."""
        key = f"sk-ant-api03-{secrets.token_urlsafe(69)}-AA"
        self.keys.append(key)
        self.stub.keys.accept(Secret(key), label=f"key-{len(self.keys)}")
        new = self.home / "key.new"
        new.touch(mode=0o600)
        new.write_text(key)
        new.replace(self.home / "key")
        if len(self.keys) > 1:
            self.stub.keys.refuse(f"key-{len(self.keys) - 1}")

    def answered(self, number: int) -> int:
        """Count what was answered with key ``number``."""
        return self.stub.count(key=f"key-{number}", status=200)

    def wait_for(self, process: subprocess.Popen[str], number: int, *, answers: int) -> None:
        """Wait until key ``number`` has been good for so many answers."""
        pause = threading.Event()
        for _ in range(int(SOON / 0.05)):
            if self.answered(number) >= answers:
                return
            if process.poll() is not None:
                break
            pause.wait(0.05)
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"it did not get on: {self.stub.summary()}\n{out}{err}")

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        environ = {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        return subprocess.Popen(
            [sys.executable, "-W", "error", *map(str, words)],
            cwd=EXAMPLES,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str], *, signalled: str = "") -> str:
        """Wait for the end, and give what was printed; no key may be in it."""
        if signalled:
            process.send_signal(signal.Signals[signalled])
        try:
            out, err = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
        assert process.returncode == 0, out + err
        assert not any(key in out + err for key in self.keys)
        return out + err


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ClaudeStub() as stub:
        yield World(tmp_path, stub)


def through_a_key_change(world: World, name: str, *, signalled: str) -> str:
    """Run a service, change its key while it works, and end it."""
    process = world.start(EXAMPLES / name, world.config, world.stub.url)
    world.wait_for(process, 1, answers=3)
    world.change_key()
    world.wait_for(process, 2, answers=6)
    return world.end(process, signalled=signalled)


def test_the_plain_service_works_on_through_a_key_change(world):
    text = through_a_key_change(world, "plain_service.py", signalled="SIGTERM")
    assert world.stub.count(status=401) == 1
    assert "service: generation 2" in text
    answers = re.search(r"service: (\d+) answers, generation 2", text)
    assert answers
    assert int(answers[1]) == world.stub.count(status=200)
    assert "no answer" not in text


def test_prefork_workers_work_on_through_a_key_change(world):
    text = through_a_key_change(world, "prefork_worker.py", signalled="SIGTERM")
    workers = re.findall(r"worker (\d+): (\d+) answers, generation 2", text)
    assert len({pid for pid, _ in workers}) == 2
    assert sum(int(count) for _, count in workers) == world.stub.count(status=200)
    assert 1 <= world.stub.count(status=401) <= 2  # at most one for each worker
    assert re.search(r"parent \d+: generation [12]", text)


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[AwsStub]:
    """AWS's stand-in with two regions, and a configuration that assumes a role there."""
    with AwsStub(regions=("us-west-2", "us-east-1")) as aws:
        user = aws.accounts.add_user("service")
        trust = Trust(principals=(f"arn:aws:iam::{ACCOUNT}:user/service",))
        aws.accounts.add_role(f"arn:aws:iam::{ACCOUNT}:role/claude", trust=trust)
        pair = {"AccessKeyId": user.access_key_id, "SecretAccessKey": user.secret.reveal()}
        (tmp_path / "aws.json").touch(mode=0o600)
        (tmp_path / "aws.json").write_text(json.dumps(pair))
        (tmp_path / "secretkit.toml").write_text(
            '[credentials.bedrock]\nkind = "aws"\nregion = "us-west-2"\n'
            f'source = "file:{tmp_path}/aws.json"\nendpoint = "{aws.url()}"\n'
            f'assume_role = {{ role_arn = "arn:aws:iam::{ACCOUNT}:role/claude" }}\n'
        )
        yield aws


def test_bedrock_in_two_regions_goes_on_while_one_is_away_and_its_session_ends(regions, tmp_path):
    def answered(region: str) -> int:
        return sum(call.region == region and call.status == 200 for call in calls())

    def calls() -> list[Call]:
        return [call for call in regions.calls if call.action == "bedrock:InvokeModel"]

    def until(region: str, count: int) -> None:
        for _ in range(int(SOON / 0.05)):
            if answered(region) >= count:
                return
            if process.poll() is not None:
                break
            pause.wait(0.05)
        process.kill()
        pytest.fail(f"{calls()[-5:]}\n{process.communicate()}")

    pause = threading.Event()
    urls = [regions.url(region) for region in ("us-west-2", "us-east-1")]
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "error", EXAMPLES / "bedrock_two_regions.py"),
            *(tmp_path / "secretkit.toml", *urls),
        ],
        cwd=EXAMPLES,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until("us-west-2", 3)
    for key_id in [one for one in regions.accounts._holders if one.startswith("ASIA")]:
        regions.accounts.expire(key_id)
    until("us-west-2", 6)
    regions.stop_region("us-west-2")
    until("us-east-1", 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, out + err
    assert [call.code for call in calls() if call.status != 200] == ["ExpiredTokenException"]
    assert regions.count("sts:AssumeRole") == 2
    assert "answered by us-east-1" in err
    assert "us-west-2: APIConnectionError" in err
    assert "ASIA" not in out + err


SERVE = """
import asyncio, sys
sys.path.insert(0, ".")
import fastapi_app, httpx2

async def main(config, url):
    app = fastapi_app.create_app(config, url)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as web:
            for line in sys.stdin:
                asks = [web.post("/ask", params={"question": "hello"}) for _ in range(8)]
                answers = [(await ask).raise_for_status() for ask in asks]
                assert all(answer.json()["answer"] for answer in answers)
                health = (await web.get("/health")).raise_for_status().json()
                print(len(answers), health["generation"], flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def test_the_fastapi_application_works_on_through_a_key_change(world):
    need("fastapi")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(world.config), world.stub.url],
        cwd=EXAMPLES,
        env={"HOME": str(world.home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for expected in ("8 1\n", "8 2\n"):
        process.stdin.write("go\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if line != expected:
            process.kill()
            pytest.fail(f"{line!r} {process.stderr.read()}")
        world.change_key()
    world.end(process)
    assert world.answered(1) == world.answered(2) == 8
    assert world.stub.count(status=401) == 1


def cells(source: str) -> list[str]:
    """Take a file in percent format apart."""
    return [part.partition("\n")[2] for part in source.split("\n# %%")[1:]]


NOTEBOOK = """
import ast, contextlib, io, json, sys
url, config, given = sys.argv[1:]
space, saved = {}, []
for number, cell in enumerate(json.loads(given)):
    tree = ast.parse(cell)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, shown = io.StringIO(), None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        exec(compile(tree, f"cell {number}", "exec"), space)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), space)
    outputs = [printed.getvalue(), "" if shown is None else repr(shown)]
    saved.append({"source": cell, "outputs": outputs})
    if number == 0:
        space.update(config=config, base_url=url)
    if "messages.create" in cell:
        space["message_count"] = space.get("message_count", 0) + 1
        if space["message_count"] == 1:
            print("change", flush=True)
            sys.stdin.readline()
            exec(compile(tree, "again", "exec"), space)
print(json.dumps({"cells": saved}))
"""


def test_the_notebook_prints_no_value_and_saves_none(world):
    source = cells((EXAMPLES / "notebook.py").read_text())
    assert len(source) > 5
    process = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK, world.stub.url, str(world.config), json.dumps(source)],
        cwd=EXAMPLES,
        env={"HOME": str(world.home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    world.change_key()
    saved = process.communicate("go on\n", timeout=LIMIT)
    assert process.returncode == 0, (first, saved)
    assert not any(key in "".join(saved) for key in world.keys)
    shown = [output for cell in json.loads(saved[0])["cells"] for output in cell["outputs"]]
    assert any("Secret(" in output for output in shown), "the masked Secret is to be seen"
    assert world.answered(1) == 1
    assert world.answered(2) == 1


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider package, installed as its users would, into a directory of its own."""
    need("hatchling")
    need("pip")
    target = tmp_path_factory.mktemp("site")
    copy = tmp_path_factory.mktemp("source") / "package"
    copy.mkdir()
    for path in PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            (copy / path.relative_to(PACKAGE)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(PACKAGE)).write_bytes(path.read_bytes())
    options = ["--no-index", "--no-deps", "--no-build-isolation", "-q", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options, "."],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_the_provider_package_is_found_by_its_entry_point(world, installed):
    environ = {
        "HOME": str(world.home),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(installed),
        "CREDENTIALS_DIRECTORY": str(world.home),
    }
    world.config.write_text(
        '[providers.unit]\ntype = "systemd"\n\n'
        '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "unit:key"\n'
    )
    script = Path(sys.executable).with_name("secretkit")
    command = [script, "-c", world.config, "token", "claude"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout == world.keys[0], done.stderr) == (True, "")
    listing = [script, "provider", "list"]
    done = subprocess.run(listing, env=environ, capture_output=True, text=True, check=False)
    assert "systemd\tsecretkit-systemd 0.1.0" in done.stdout


def test_the_provider_package_keeps_the_contract(installed, tmp_path):
    options = ["-p", "no:cacheprovider", "--import-mode=importlib"]
    options += ["--rootdir", str(tmp_path), "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, str(PACKAGE / "tests")],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= 25


def test_the_list_of_examples_is_whole():
    listed = set(re.findall(r"\]\(([\w/.]+)\)", (EXAMPLES / "README.md").read_text()))
    there = {
        path.name for path in EXAMPLES.iterdir() if path.name not in {"README.md", "__pycache__"}
    }
    assert {name.split("/")[0] for name in listed if not name.startswith("..")} == there


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_an_example_is_short_and_says_what_it_is(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(source))
    assert ".reveal()" not in source, "no example needs the value itself"


def test_the_examples_are_typed():
    """``mypy --strict``, with the repository's settings; 12 s with an empty cache, else 1 s."""
    need("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *map(str, FILES)],
        cwd=ROOT,
        env={"MYPYPATH": str(PACKAGE / "src"), "PATH": "/usr/bin:/bin", "HOME": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
