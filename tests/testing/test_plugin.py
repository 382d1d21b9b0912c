"""The plugin in real pytest runs of a project that is not ours."""

import subprocess
import sys

import pytest

SETUP = """
import logging, os, pathlib, subprocess, sys, warnings, base64, json, pickle
import pytest
"""

LEAKS = {
    "standard output": ("print(canary.reveal())", "Captured stdout call"),
    "standard error": ("print(canary.reveal(), file=sys.stderr)", "Captured stderr call"),
    "a child's output": (
        (
            "subprocess.run([sys.executable, '-c', 'import sys; print(sys.stdin.read())'], "
            "input=canary.reveal(), text=True, check=True)"
        ),
        "Captured stdout call",
    ),
    "base64": (
        "print(base64.b64encode(b'user:' + canary.reveal().encode()).decode())",
        "base64",
    ),
    "a log message": ("logging.getLogger('app').warning('k %s', canary.reveal())", "log of 'app'"),
    "a log argument that is not shown": (
        "logging.getLogger('app').warning('no', extra={'hidden': canary.reveal()})",
        "log of 'app'",
    ),
    "a logged exception": (
        (
            "try:\n        raise ValueError(canary.reveal())\n"
            "    except ValueError:\n        logging.getLogger('app').exception('no')"
        ),
        "log of 'app'",
    ),
    "a warning": ("warnings.warn(canary.reveal())", "warning UserWarning"),
    "a file in tmp_path": (
        "(tmp_path / 'deep').mkdir(); (tmp_path / 'deep' / 'f').write_text(canary.reveal())",
        "/deep/f",
    ),
    "a file in tmp_path by a child": (
        (
            "subprocess.run(['tee', str(tmp_path / 'f')], input=canary.reveal(), text=True, "
            "stdout=subprocess.DEVNULL, check=True)"
        ),
        "/f:",
    ),
    "a renamed file": (
        "pathlib.Path('a.tmp').write_text(canary.reveal()); os.rename('a.tmp', 'kept.txt')",
        "kept.txt",
    ),
    "a file in the working directory": (
        "pathlib.Path('here.txt').write_text(canary.reveal())",
        "here.txt",
    ),
    "a file in the working directory by a child": (
        (
            "subprocess.run(['tee', 'here.txt'], input=canary.reveal(), text=True, "
            "stdout=subprocess.DEVNULL, check=True)"
        ),
        "here.txt",
    ),
    "a file elsewhere": (
        "(tmp_path_factory.mktemp('other') / 'f').write_text(canary.reveal())",
        "/f:",
    ),
    "a property of the report": ("record_property('k', canary.reveal())", "property 'k'"),
    "a failure": ("assert canary.reveal() == ''", "failure text"),
    "an expected failure": ("pytest.xfail(canary.reveal())", "failure text"),
    "a skip": ("pytest.skip(canary.reveal())", "failure text"),
}


def write_test(pytester, body, *, arguments="canary, tmp_path, tmp_path_factory, record_property"):
    pytester.makepyfile(f"{SETUP}\ndef test_it({arguments}):\n    {body}\n")
    # Values are told apart by their prefix: a whole one must never be in the outcome.
    pytester.makeini("[pytest]\nfilterwarnings = default\n")


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_fails_the_test_and_names_the_place_but_not_the_value(pytester, name):
    body, place = LEAKS[name]
    write_test(pytester, body)
    result = pytester.runpytest("-rA", "--junitxml=report.xml", "-p", "no:cacheprovider")
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) + outcomes.get("errors", 0) >= 1, result.outlines
    text = result.stdout.str()
    assert "leak guard: a live secret was seen" in text
    assert place in text
    assert "sk-ant-api03-" not in text
    assert "sk-ant-api03-" not in (pytester.path / "report.xml").read_text()


CLEAN = {
    "nothing": "pass",
    "a masked secret everywhere": (
        "print(canary); logging.getLogger('app').warning('%r', canary); "
        "(tmp_path / 'f').write_text(str(canary))"
    ),
    "an allowed file": (
        "leak_guard.allow(tmp_path / 'store'); (tmp_path / 'store').write_text(canary.reveal())"
    ),
    "output the test has taken": "print(canary.reveal()); capsys.readouterr()",
    "a file that was removed": (
        "(tmp_path / 'f').write_text(canary.reveal()); (tmp_path / 'f').unlink()"
    ),
    "a file that was only read": "pathlib.Path(__file__).read_text()",
}


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_no_leak_passes(pytester, name):
    write_test(pytester, CLEAN[name], arguments="canary, tmp_path, leak_guard, capsys")
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_leak_in_setup_and_in_teardown_is_seen(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def early(canary):
            print(canary.reveal())

        @pytest.fixture
        def late(canary, tmp_path):
            yield
            (tmp_path / "late").write_text(canary.reveal())

        def test_early(early): pass
        def test_late(late): pass
        """
    )
    result = pytester.runpytest("-rA")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(["*in Captured stdout setup: live secret 1 *", "*/late: live*"])
    assert "sk-ant-api03-" not in result.stdout.str()


def test_the_locals_of_the_code_under_test_are_named_when_it_fails(pytester):
    pytester.makepyfile(
        app="""
        def work(secret):
            clear = secret.reveal()
            raise ValueError(len(clear))
        """,
        test_it="""
        from app import work

        def test_it(canary):
            work(canary)
        """,
    )
    result = pytester.runpytest("-p", "no:cacheprovider", "--showlocals")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*local 'clear' of work (*app.py:3) under exception ValueError*"])
    assert "sk-ant-api03-" not in result.stdout.str()


def test_secrets_are_live_for_their_own_test_only(pytester):
    pytester.makepyfile(
        """
        kept = []
        def test_one(canary):
            kept.append(canary)
        def test_two(leak_guard):
            print(kept[0].reveal())
            assert not leak_guard.live
        def test_three(canary):
            assert canary != kept[0]
        """
    )
    pytester.runpytest().assert_outcomes(passed=3)


def test_a_suite_without_our_fixtures_is_left_alone(pytester):
    pytester.makepyfile(
        """
        import logging, sys
        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.get_plugin("secretkit-leak-guard") is None
            loaded = sorted(name for name in sys.modules if name.startswith("secretkit"))
            assert loaded == ["secretkit", "secretkit.testing", "secretkit.testing.plugin"]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_ini_option_watches_the_tokens_that_the_stand_in_mints(pytester):
    pytester.makepyfile(
        """
        from secretkit.broker import SystemClock
        from secretkit.testing.stub.issuer import TokenIssuer
        from secretkit.testing.stub.oauth import GRANT_TYPE

        def test_it(claude_stub):
            issuer = TokenIssuer("https://id.example.org", clock=SystemClock())
            ids = claude_stub.organization.federate(issuer, subject="me")
            grant = {
                "grant_type": GRANT_TYPE,
                "assertion": issuer.token("me").reveal(),
                "federation_rule_id": ids.federation_rule_id,
                "organization_id": ids.organization_id,
                "service_account_id": ids.service_account_id,
            }
            print(claude_stub.tokens.mint(grant).secret.reveal())
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)
    pytester.makeini("[pytest]\nsecretkit_leak_guard = true\n")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert "sk-ant-oat01-" not in result.stdout.str()


def test_the_fixtures_share_one_clock(pytester):
    pytester.makepyfile(
        """
        from datetime import timedelta
        import http.client

        def test_it(fake_clock, memory_provider, claude_stub):
            assert memory_provider.clock is fake_clock
            claude_stub.keys.accept("some-key-" * 3, label="a")
            claude_stub.keys.refuse_after("a", timedelta(hours=1))
            fake_clock.advance(timedelta(hours=1))
            assert claude_stub.keys.states() == {"a": "refused"}
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_it_works_in_parallel_workers(pytester):
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("n", range(4))
        def test_it(canary, n):
            if n == 2:
                print(canary.reveal())
        """
    )
    result = pytester.runpytest_subprocess("-n", "2", "-rA")
    result.assert_outcomes(passed=3, failed=1)
    assert "sk-ant-api03-" not in result.stdout.str()


def test_our_own_suite_is_guarded(canary, leak_guard):
    assert leak_guard.live
    assert leak_guard.check(canary.reveal(), where="a trial")
    assert len(leak_guard.take()) == 1


def test_loading_the_plugin_imports_nothing_but_pytest():
    code = (
        "import pytest, sys; before = set(sys.modules); import secretkit.testing.plugin; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('secretkit')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
