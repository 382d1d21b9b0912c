"""The unmodified Node SDK against the stand-in: same server, another language."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "1.12.0"
CACHE = Path.home() / ".cache" / "secretkit-tests" / f"node-{VERSION}"
KEY = "sk-ant-api03-" + "n" * 93 + "AA"

# The key comes by standard input: argv and environment can be read by others.
SCRIPT = """
import Anthropic from "@anthropic-ai/sdk";
import { readFileSync } from "node:fs";
const { apiKey, baseURL } = JSON.parse(readFileSync(0, "utf8"));
const client = new Anthropic({ apiKey, baseURL, maxRetries: 0 });
const model = "claude-opus-4-5";
const messages = [{ role: "user", content: "hi" }];
const hello = { model, max_tokens: 50, messages };
const out = {};
const plain = await client.messages.create(hello);
out.plain = plain.content[0].text;
out.deltas = "";
for await (const event of await client.messages.create({ ...hello, stream: true }))
  if (event.type === "content_block_delta") out.deltas += event.delta.text;
const stream = client.messages.stream(hello);
out.stream = await stream.finalText();
out.usage = (await stream.finalMessage()).usage.output_tokens;
out.counted = (await client.messages.countTokens({ model, messages })).input_tokens;
out.models = [];
for await (const one of client.models.list({ limit: 2 })) out.models.push(one.id);
const refused = new Anthropic({ apiKey: "sk-nobody", baseURL, maxRetries: 0 });
try { await refused.messages.create(hello); }
catch (error) { out.error = [error.constructor.name, error.status, error.error.error.type]; }
console.log(JSON.stringify(out));
"""


def absent(reason: str) -> None:
    """Skip where a component is not installed; on CI nothing may be skipped."""
    if os.environ.get("CI") == "true":  # noqa: TID251 - a test's own question
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node_sdk() -> Path:
    """A directory outside the repository that has the SDK installed."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            absent(f"{program} is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may come here at once
        if not (CACHE / "complete").exists():
            install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(
                [*install, "--prefix", str(CACHE), f"@anthropic-ai/sdk@{VERSION}"],
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            if done.returncode:
                absent(f"npm cannot install the SDK: {done.stderr.strip()[-300:]}")
            (CACHE / "complete").touch()
    return CACHE


def test_the_node_sdk_notices_no_difference(node_sdk, claude_stub):
    claude_stub.keys.accept(KEY, label="node")
    script = node_sdk / "hello.mjs"
    script.write_text(SCRIPT)
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps({"apiKey": KEY, "baseURL": claude_stub.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(node_sdk)},  # noqa: TID251 - to find node
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert out["plain"] == out["deltas"] == out["stream"] == claude_stub.reply
    assert out["usage"] == len(claude_stub.reply.split())
    assert out["counted"] > 0
    assert len(out["models"]) == 3
    assert out["error"] == ["AuthenticationError", 401, "authentication_error"]
    assert claude_stub.count(key="node", spelling="bearer", status=200, finished=True) == 6
    assert claude_stub.count(stream=True, key="node", finished=True) == 2
    assert claude_stub.count(status=401, key="") == 1
