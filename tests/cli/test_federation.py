"""secretkit federation, from the console, against the stand-in."""

from __future__ import annotations

import json
import signal
import stat
import sys
import threading

import pytest

from cli.test_entry import talk
from secretkit.broker import SystemClock
from secretkit.testing import ClaudeStub
from secretkit.testing.stub.issuer import TokenIssuer

ME = "system:serviceaccount:prod:app"
ADMIN = "sk-ant-" + "oat01-" + "t" * 95
WORKSPACE = "wrkspc_01prod"


class Site:
    """A home with a configuration, an identity in a file, and the stand-in."""

    def __init__(self, home, stub):
        self.home, self.stub = home, stub
        self.issuer = TokenIssuer("https://id.example.org", clock=SystemClock())
        stub.organization.publish(self.issuer)
        stub.keys.accept(ADMIN, label="admin")
        stub.organization.admins.add("admin")
        home.config.parent.mkdir(parents=True, mode=0o700)
        self.token_file, self.admin = home.path / "id.jwt", home.path / "admin"
        for path, text in ((self.token_file, ""), (self.admin, ADMIN)):
            path.touch(0o600)
            path.write_text(text)
        self.renew()
        self.configure("pending", "pending")

    def renew(self):
        self.token_file.write_text(self.issuer.token(ME).reveal())

    def configure(self, rule, account):
        self.home.config.write_text(
            f"""
            [credentials.claude-prod]
            kind = "anthropic-federation"
            identity = {{ type = "file", path = "{self.token_file}" }}
            federation_rule_id = "{rule}"
            service_account_id = "{account}"
            organization_id = "{self.stub.organization.id}"
            workspace_id = "{WORKSPACE}"
            base_url = "{self.stub.url}"
            """
        )

    def run(self, *words, **given):
        return self.home.run(*words, **given)

    def apply(self, *words):
        ref = f"file:{self.admin}"
        code, out, err = self.run(
            "federation", "apply", "claude-prod", "--token", ref, "--json", *words
        )
        return code, json.loads(out)["steps"], err.decode()

    def set_up(self):
        code, steps, err = self.apply()
        assert code == 0, err
        ids = {step["what"]: step["id"] for step in steps}
        self.configure(ids["rule"], ids["service account"])
        self.renew()


@pytest.fixture
def site(home):
    with ClaudeStub() as stub:
        yield Site(home, stub)


def test_a_plan_shows_what_the_identitys_own_token_says(site):
    code, out, err = site.run("federation", "plan", "claude-prod")
    assert code == 0, err
    rows = {tuple(line.split("\t")[:2]): line.split("\t")[2] for line in out.decode().splitlines()}
    assert rows["issuer", "issuer_url"] == "https://id.example.org"
    assert rows["issuer", "check_jti"] == "no"
    assert rows["rule", "match.subject_prefix"] == ME
    assert rows["rule", "workspace_id"] == WORKSPACE
    assert b"note: check_jti is false" in err
    assert site.stub.log == ()


def test_a_plan_is_json_and_files_too(site):
    code, out, err = site.run("federation", "plan", "claude-prod", "--json", "--write", "made")
    assert code == 0, err
    shown = json.loads(out)
    written = {
        path.stem: json.loads(path.read_text()) for path in (site.home.cwd / "made").iterdir()
    }
    assert {**written, "notes": shown["notes"]} == shown
    assert written.keys() == {"issuer", "service-account", "rule"}


def test_a_plan_needs_no_token_where_both_are_given(site):
    site.token_file.unlink()
    words = ("--issuer", "https://a.example.org", "--subject", "repo:me/it:*")
    code, out, err = site.run("federation", "plan", "claude-prod", "--json", *words)
    assert code == 0, err
    plan = json.loads(out)
    assert plan["issuer"]["issuer_url"] == "https://a.example.org"
    assert plan["rule"]["match"]["subject_prefix"] == "repo:me/it:*"
    assert site.run("federation", "plan", "claude-prod")[0] == 5


def test_keys_in_a_file_go_into_the_plan_if_they_are_public(site):
    keys = site.home.cwd / "jwks.json"
    keys.write_text(json.dumps(site.issuer.jwks))
    words = ("federation", "plan", "claude-prod", "--json", "--jwks", "jwks.json")
    assert json.loads(site.run(*words)[1])["issuer"]["jwks"]["type"] == "inline"
    keys.write_text('{"keys": [{"kty": "EC", "d": "secret"}]}')
    code, _, err = site.run(*words)
    assert code == 2
    assert b"private" in err


def test_applied_twice_changes_nothing_and_the_credential_then_works(site):
    code, steps, err = site.apply()
    assert code == 0, err
    assert [step["state"] for step in steps] == ["created"] * 4
    assert f'federation_rule_id = "{steps[3]["id"]}"' in err
    code, steps, _ = site.apply()
    assert (code, {step["state"] for step in steps}) == (0, {"unchanged"})
    assert site.run("token", "claude-prod")[0] == 2  # its ids are still pending
    site.set_up()
    code, out, err = site.run("token", "claude-prod")
    assert code == 0, err
    assert out.startswith(b"sk-ant-oat01-")


def test_a_difference_is_exit_code_1(site):
    site.apply()
    code, steps, _ = site.apply("--subject", "system:serviceaccount:prod:other")
    assert (code, steps[-1]["state"]) == (1, "differs")


def test_a_token_that_may_not_is_exit_code_3_and_an_api_key_2(site):
    site.stub.organization.admins.clear()
    code, steps, err = site.apply()
    assert (code, steps) == (3, [])
    assert "Console" in err
    site.admin.write_text("sk-ant-" + "admin01-xyz")
    code, _, err = site.run("federation", "apply", "claude-prod", "--token", f"file:{site.admin}")
    assert code == 2
    assert b"API key" in err
    assert ADMIN.encode() not in err


def test_the_token_is_asked_for_and_not_shown(site):
    answers = [(b"(hidden): ", f"{ADMIN}\n".encode())]
    code, shown = talk(site.home, "federation", "apply", "claude-prod", answers=answers)
    assert code == 0
    assert "created" in shown
    assert ADMIN not in shown


def test_without_a_terminal_the_token_must_be_named(site):
    code, _, err = site.run("federation", "apply", "claude-prod")
    assert code == 2
    assert b"--token" in err


def test_a_credential_of_another_kind_has_no_plan(stocked):
    code, _, err = stocked.run("federation", "plan", "claude")
    assert code == 2
    assert b"anthropic-federation" in err


def test_run_gives_a_command_the_token(site):
    site.set_up()
    shown = "import os; print(os.environ['ANTHROPIC_AUTH_TOKEN'][:6])"
    code, out, err = site.run("run", "--", sys.executable, "-c", shown)
    assert (code, out) == (0, b"sk-ant\n"), err


def test_a_probe_says_as_whom_and_why_it_is_short(site):
    site.set_up()
    code, out, err = site.run("provider", "test", "claude-prod", "--json")
    assert code == 0, err
    (row,) = json.loads(out)["sources"]
    assert f"for {ME} of https://id.example.org" in row["identity"]
    assert "twice what was left" in str(row["lacks"])


def test_a_profile_is_written_once(site):
    site.set_up()
    site.home.environ["ANTHROPIC_API_KEY"] = "x"
    code, out, err = site.run("federation", "profile", "claude-prod", "--json", "--activate")
    assert code == 0, err
    assert b"ANTHROPIC_API_KEY is set" in err
    folder = site.home.path / ".config/anthropic"
    credentials = folder / "credentials/claude-prod.json"
    assert json.loads(out)["file"] == str(credentials)
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    kept = json.loads(credentials.read_text())
    assert kept["access_token"].startswith("sk-ant-oat01-")
    left = kept["expires_at"] - SystemClock().now().timestamp()
    assert 500 < left <= 600  # twice the five minutes of the assertion
    assert (
        json.loads((folder / "configs/claude-prod.json").read_text())["base_url"] == site.stub.url
    )
    assert (folder / "active_config").read_text() == "claude-prod"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_profile_is_kept_until_a_signal(site, number):
    site.set_up()
    process = site.home.start("federation", "profile", "claude-prod", "--watch", "--profile", "it")
    credentials = site.home.path / ".config/anthropic/credentials/it.json"
    try:
        for _ in range(1000):
            if credentials.exists():
                break
            threading.Event().wait(0.02)
        left = json.loads(credentials.read_text())["expires_at"] - SystemClock().now().timestamp()
        assert 90 < left <= 100
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out) == (0, b"")
    assert b"keeping" in err
    assert b"sk-ant" not in err


@pytest.mark.parametrize("more", [[], ["--watch"]])
def test_the_active_profile_stays_where_no_token_is_had(site, more):
    site.set_up()
    folder = site.home.path / ".config/anthropic"
    folder.mkdir(mode=0o700, parents=True)
    (folder / "active_config").write_text("mine")
    site.stub.next(path="/v1/oauth/token", status=401)
    code, _, _ = site.run("federation", "profile", "claude-prod", "--activate", *more)
    assert code == 3
    assert (folder / "active_config").read_text() == "mine"
    assert not (folder / "configs/claude-prod.json").exists()


def test_a_profile_of_a_credential_that_is_refused_ends_with_3(site):
    site.set_up()
    site.stub.next(path="/v1/oauth/token", status=401)
    code, _, err = site.run("federation", "profile", "claude-prod", "--watch")
    assert code == 3
    assert b"Workload identity" in err
