"""A profile as the real SDKs read it, and where it may be written."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from claude.federated import Federated
from integration.test_node_sdk import node_sdk  # noqa: F401 - a fixture
from secretkit.broker import SystemClock
from secretkit.claude.keeper import ProfileKeeper
from secretkit.claude.profile import Profile, profile_directory, token_of
from secretkit.core.credential import AccessToken
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ConfigError
from secretkit.testing import ClaudeStub, FakeClock, broker_over

PYTHON = """
import json, sys, anthropic
with anthropic.Anthropic(profile="app") as client:
    print("ready", flush=True)
    for _ in sys.stdin:
        got = client.messages.create(
            model="claude-opus-4-5", max_tokens=5, messages=[{"role": "user", "content": "hi"}]
        )
        print(json.dumps(bool(got.content)), flush=True)
"""
NODE = """
import Anthropic from "@anthropic-ai/sdk";
import { createInterface } from "node:readline";
const client = new Anthropic({ profile: "app" });
const messages = [{ role: "user", content: "hi" }];
console.log("ready");
for await (const _ of createInterface({ input: process.stdin })) {
  const got = await client.messages.create({ model: "claude-opus-4-5", max_tokens: 5, messages });
  console.log(JSON.stringify(got.content.length > 0));
}
"""


@pytest.fixture
def world():
    clock = SystemClock()
    with ClaudeStub(clock=clock) as stub:
        made = Federated(stub, clock)
        yield made
        made.close()


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "anthropic"


def token(end, text="sk-ant-" + "oat01-x"):
    return AccessToken(Secret(text), end)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


class Client:
    """An SDK in a process of its own that sends one request for each line."""

    def __init__(self, command, folder):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                "PATH": os.environ["PATH"],  # noqa: TID251 - to find node
                "HOME": str(folder.parent),
                "ANTHROPIC_CONFIG_DIR": str(folder),
            },
        )
        if self.line() != "ready":
            self.close()

    def line(self):
        return self.process.stdout.readline().strip()

    def asks(self, times):
        for _ in range(times):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            assert self.line() == "true"

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(10) == 0


@pytest.mark.parametrize("sdk", ["python", "node"])
def test_an_sdk_goes_on_over_three_rewrites_with_the_old_token_revoked(world, folder, sdk, request):
    command = [sys.executable, "-c", PYTHON]
    if sdk == "node":
        script = request.getfixturevalue("node_sdk") / "profile.mjs"
        script.write_text(NODE)
        command = ["node", str(script)]
    profile = Profile(folder, name="app", base_url=world.stub.url)
    profile.describe()
    near = timedelta(seconds=100)
    profile.write(world.acquire().credential, expires_at=world.clock.now() + near)
    client = Client(command, folder)
    try:
        client.asks(3)
        for number in range(1, 4):
            fresh = world.acquire().credential
            profile.write(fresh, expires_at=world.clock.now() + near)
            while sdk == "node" and world.stub.log[-1].key != f"token-{number + 1}":
                client.asks(1)  # it reads the file again beside a request, not before it
            world.stub.keys.refuse(f"token-{number}")
            client.asks(3)
    finally:
        client.close()
    sent = [record for record in world.stub.log if record.path == "/v1/messages"]
    assert {record.key for record in sent if record.status == 200} == {
        f"token-{number}" for number in range(1, 5)
    }
    assert {record.status for record in sent} == {200}


def test_the_files_are_the_owners_alone(folder):
    before = os.umask(0)
    try:
        profile = Profile(folder, name="app")
        profile.describe()
        end = SystemClock().now() + timedelta(hours=1)
        profile.write(token(end), expires_at=end)
        profile.activate()
    finally:
        os.umask(before)
    assert [mode(one) for one in (folder, folder / "configs", folder / "credentials")] == [
        0o700
    ] * 3
    assert mode(profile.credentials) == mode(profile.config) == 0o600
    assert json.loads(profile.credentials.read_text()) == {
        "version": "1.0",
        "type": "oauth_token",
        "access_token": "sk-ant-" + "oat01-x",
        "expires_at": int(end.timestamp()),
    }
    assert json.loads(profile.config.read_text()) == {
        "version": "1.0",
        "authentication": {"type": "user_oauth"},
    }
    assert (folder / "active_config").read_text() == "app"
    assert sorted(one.name for one in folder.rglob("*") if one.is_file()) == [
        "active_config",
        "app.json",
        "app.json",
    ]


def test_a_reader_sees_the_old_or_the_new_and_nothing_else(folder):
    profile = Profile(folder, name="app")
    profile.describe()
    end = SystemClock().now() + timedelta(hours=1)
    texts = {"sk-ant-" + "oat01-" + letter * 4000 for letter in "ab"}
    profile.write(token(end, min(texts)), expires_at=end)
    done = threading.Event()
    seen = set()

    def read():
        while not done.is_set():
            seen.add(json.loads(profile.credentials.read_text())["access_token"])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in sorted(texts):
            profile.write(token(end, text), expires_at=end)
    done.set()
    reader.join(10)
    assert seen <= texts


def test_a_link_in_the_place_of_a_file_is_refused_and_left_alone(folder):
    profile = Profile(folder, name="app")
    profile.describe()
    victim = folder.parent / "victim"
    victim.write_text("mine")
    profile.credentials.symlink_to(victim)
    end = SystemClock().now() + timedelta(hours=1)
    with pytest.raises(AccessDeniedError, match="symbolic link"):
        profile.write(token(end), expires_at=end)
    assert victim.read_text() == "mine"
    assert profile.credentials.is_symlink()


@pytest.mark.parametrize("part", ["", "credentials", "configs"])
def test_a_link_in_the_place_of_a_directory_is_refused(folder, part):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir(0o700)
    if part:
        folder.mkdir(0o700)
    (folder / part if part else folder).symlink_to(elsewhere)
    with pytest.raises(AccessDeniedError, match="symbolic link"):
        Profile(folder, name="app").describe()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "bits"), [("", 0o770), ("credentials", 0o750), ("configs", 0o722)]
)
def test_a_directory_that_others_can_reach_into_is_refused(folder, part, bits):
    Profile(folder, name="app").describe()
    (folder / part).chmod(bits)
    with pytest.raises(AccessDeniedError) as caught:
        Profile(folder, name="app").describe()
    assert f"chmod 700 {folder / part}".rstrip("/") in caught.value.hint
    assert mode(folder / part) == bits


def test_what_a_killed_writer_left_behind_is_removed(folder):
    profile = Profile(folder, name="app")
    profile.describe()
    left = profile.credentials.parent / f".app.json.{'0' * 16}.new"
    other = profile.credentials.parent / ".app.json.mine"
    left.write_text("half a token")
    other.write_text("not ours")
    Profile(folder, name="app").describe()
    assert not left.exists()
    assert other.exists()


def test_a_write_that_fails_leaves_the_old_token_and_nothing_else(folder):
    profile = Profile(folder, name="app")
    profile.describe()
    end = SystemClock().now() + timedelta(hours=1)
    profile.write(token(end), expires_at=end)
    before = profile.credentials.read_text()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(ConfigError, match="cannot be written") as caught:
            profile.write(token(end, "sk-ant-" + "oat01-" + "y" * 500), expires_at=end)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "yyy" not in str(caught.value)
    assert profile.credentials.read_text() == before
    assert [path.name for path in profile.credentials.parent.iterdir()] == ["app.json"]


FOREIGN = {
    "a login of the user": {"authentication": {"type": "user_oauth", "client_id": "x"}},
    "a federation of the SDK": {"authentication": {"type": "oidc_federation"}},
    "something else": [],
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_profile_that_somebody_else_keeps_is_left_alone(folder, name):
    profile = Profile(folder, name="app")
    profile.describe()
    profile.config.write_text(json.dumps(FOREIGN[name]))
    with pytest.raises(ConfigError, match="somebody else"):
        profile.describe()
    assert json.loads(profile.config.read_text()) == FOREIGN[name]


@pytest.mark.parametrize("name", ["", ".app", "a/b", "a b", "a\0b", "-app", "..", "x" * 65])
def test_a_name_that_the_sdks_refuse_is_refused(folder, name):
    with pytest.raises(ConfigError):
        Profile(folder, name=name)


def test_a_directory_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written"):
        Profile(tmp_path / "file" / "anthropic", name="app").describe()


def test_the_directory_is_the_one_of_the_sdks():
    assert profile_directory({"HOME": "/home/you"}) == Path("/home/you/.config/anthropic")
    environ = {"HOME": "/home/you", "ANTHROPIC_CONFIG_DIR": "/etc/anthropic"}
    assert profile_directory(environ) == Path("/etc/anthropic")
    for wrong in ({}, {"ANTHROPIC_CONFIG_DIR": "here"}):
        with pytest.raises(ConfigError):
            profile_directory(wrong)


def test_only_a_token_with_an_end_goes_into_a_profile(memory_provider):
    memory_provider.set("claude", "sk-ant-" + "oat01-x" * 20)
    for kind in ("anthropic-access-token", "anthropic-api-key"):
        with (
            broker_over(memory_provider, kind=kind) as broker,
            pytest.raises(ConfigError, match="stated end"),
        ):
            token_of(broker.lease("claude"))


# -- kept for as long as it runs -------------------------------------------------------------------


class Watched(FakeClock):
    """Knows which threads wait for time to pass."""

    def __init__(self):
        super().__init__()
        self.threads = set()

    def wait(self, event, timeout=None):
        self.threads.add(threading.current_thread())
        try:
            return super().wait(event, timeout)
        finally:
            self.threads.discard(threading.current_thread())


class Kept:
    """A keeper in a thread, over a time that the test moves."""

    def __init__(self, clock, stub, folder):
        self.world = Federated(stub, clock)
        self.profile = Profile(folder, name="app", base_url=stub.url)
        self.profile.describe()
        self.said = []
        self.broker = self.world.broker()
        self.keeper = ProfileKeeper(
            "claude",
            broker=self.broker,
            profile=self.profile,
            clock=clock,
            say=self.said.append,
        )
        self.error = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self.keeper.run()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def left(self):
        """Seconds until the end that is written."""
        ends = json.loads(self.profile.credentials.read_text())["expires_at"]
        return ends - self.world.clock.now().timestamp()

    def until(self, condition):
        for _ in range(2000):
            if condition():
                return
            threading.Event().wait(0.005)
        pytest.fail("it did not happen")

    def stop(self):
        self.keeper.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.world.close()


@pytest.fixture
def kept(folder):
    clock = Watched()
    with ClaudeStub(clock=clock) as stub:
        made = Kept(clock, stub, folder)
        yield made
        made.stop()


def settle(kept):
    kept.until(lambda: kept.thread in kept.world.clock.threads)


def test_the_end_that_is_written_is_near_and_is_moved_each_minute(kept):
    kept.thread.start()
    settle(kept)
    assert kept.left() == 100
    for _ in range(3):
        kept.world.clock.advance(timedelta(seconds=61))
        kept.until(lambda: kept.left() == 100)
        settle(kept)
    assert kept.world.exchanges == [200]


def test_a_new_token_is_written_at_once(kept):
    kept.thread.start()
    settle(kept)
    first = kept.profile.credentials.read_text()
    kept.broker.refresh("claude")
    kept.until(lambda: kept.profile.credentials.read_text() != first)
    assert kept.world.exchanges == [200, 200]


def test_a_token_of_a_minute_has_its_real_end_and_is_replaced_forty_seconds_before(kept):
    kept.world.stub.tokens.ttl = timedelta(seconds=60)
    kept.thread.start()
    settle(kept)
    assert kept.left() == 60
    for number in range(2, 5):
        kept.world.clock.advance(timedelta(seconds=21))
        kept.until(lambda: kept.left() == 60)
        assert len(kept.world.exchanges) == number
        settle(kept)


def test_a_refusal_ends_it_with_the_error(kept):
    kept.world.stub.next(path="/v1/oauth/token", status=401)
    kept.thread.start()
    kept.thread.join(10)
    assert isinstance(kept.error, AccessDeniedError)


def test_a_failure_is_said_and_tried_again(kept):
    kept.world.stub.next(path="/v1/oauth/token", status=503, times=3)
    kept.thread.start()
    kept.until(lambda: kept.said)
    assert "503" in kept.said[0]
    kept.until(
        lambda: kept.world.clock.advance(timedelta(seconds=6)) or kept.profile.credentials.exists()
    )
