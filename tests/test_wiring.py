"""From a configuration to working objects, in a world of the test's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest

from secretkit import wiring
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ConfigError, ProviderError, ProviderTimeoutError, SecretNotFoundError
from secretkit.ports import Fetched


@pytest.fixture
def home(tmp_path):
    return tmp_path


def toolkit(home, text, **world):
    file = home / "secretkit.toml"
    file.write_text(text)
    file.chmod(0o600)
    return wiring.load(file, environ={"HOME": str(home), **world}, cwd=home)


ENV = '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "env:A_KEY"\n'


def test_a_lease_comes_all_the_way_from_the_configuration(home):
    with toolkit(home, ENV, A_KEY="key-a") as kit, kit.broker() as broker:
        lease = broker.lease("claude")
        assert lease.credential.secret.reveal() == "key-a"
        assert lease.ref == "env:A_KEY"
        assert [event.event.name for event in kit.ledger().audit()] == ["claude"] * 2
        assert (home / ".local/state/secretkit/ledger.db").exists()


def test_a_pool_is_read_in_the_order_of_the_configuration(home):
    text = ENV.replace('"env:A_KEY"', '["env:A_KEY", "env:B_KEY"]')
    with toolkit(home, text, A_KEY="key-a", B_KEY="key-b") as kit, kit.broker() as broker:
        first = broker.lease("claude")
        second = broker.refresh("claude", seen=first.generation)
        assert (first.ref, second.ref) == ("env:A_KEY", "env:B_KEY")


def test_a_generation_survives_a_restart(home):
    for value, generation in (("key-a", 1), ("key-a", 1), ("key-b", 2), ("key-a", 3)):
        with toolkit(home, ENV, A_KEY=value) as kit, kit.broker() as broker:
            assert broker.lease("claude").generation == generation


def test_a_credential_may_have_a_time_of_its_own(home):
    with toolkit(home, ENV + 'ttl = "90s"\n', A_KEY="key-a") as kit:
        assert kit.policy("claude").ttl == timedelta(seconds=90)


def test_one_lease_without_a_broker_is_written_down_like_any_other(home):
    with toolkit(home, ENV, A_KEY="key-a") as kit:
        lease = kit.lease_once("claude")
        assert [record.id for record in kit.ledger().leases(now=kit.clock.now())] == [lease.id]
        assert kit.ledger().verify().entries == 2


def test_one_lease_from_a_provider_that_hangs_ends_at_the_deadline(home):
    class Hangs:
        def fetch(self, ref, *, timeout):
            import threading

            threading.Event().wait(30)

    text = ENV + '\n[leases]\nfetch_timeout = "1s"\n'
    config = toolkit(home, text).config
    kit = wiring.Toolkit(config, environ={"HOME": str(home)}, providers={"env": Hangs()})
    with kit, pytest.raises(ProviderTimeoutError, match="env:A_KEY"):
        kit.lease_once("claude")


def test_one_lease_that_fails_in_no_known_way_ends_at_once_without_its_text(
    home,
):
    class DiceError(Exception):
        pass

    def rng():
        raise DiceError("key-a")

    config = toolkit(home, ENV).config
    kit = wiring.Toolkit(config, environ={"HOME": str(home), "A_KEY": "key-a"}, rng=rng)
    with kit, pytest.raises(ProviderError, match="DiceError") as caught:
        kit.lease_once("claude")
    assert "key-a" not in str(caught.value) + caught.value.hint


def test_an_interrupt_that_another_thread_took_is_seen_before_the_deadline(home):
    """The main thread's wait is not interrupted, as when a worker starts a program meanwhile."""
    script = textwrap.dedent(
        """
        import signal, sys, threading
        from secretkit import wiring

        class Hangs:
            def fetch(self, ref, *, timeout):
                signal.pthread_kill(threading.get_ident(), signal.SIGINT)
                threading.Event().wait(60)

        config = wiring.load(sys.argv[1]).config
        kit = wiring.Toolkit(config, environ={"HOME": sys.argv[2]}, providers={"env": Hangs()})
        try:
            kit.lease_once("claude")
        except KeyboardInterrupt:
            print("seen")
        """
    )
    file = home / "secretkit.toml"
    file.write_text(ENV + '[leases]\nfetch_timeout = "40s"\n')
    file.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", script, str(file), str(home)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,  # half of what the provider may take
    )
    assert (done.stdout, done.stderr) == ("seen\n", "")


def test_an_unset_variable_is_not_found_and_never_another_variables_value(home):
    with (
        toolkit(home, ENV, ANTHROPIC_API_KEY="key-other") as kit,
        pytest.raises(SecretNotFoundError) as caught,
    ):
        kit.lease_once("claude")
    assert "key-other" not in str(caught.value) + caught.value.hint


def test_an_instance_has_its_own_options(home):
    text = f'[providers.mine]\ntype = "file"\nroot = "{home}"\n'
    text += f'[credentials.c]\nkind = "opaque"\nsource = "mine:{home}/plain"\n'
    (home / "plain").write_text("key-plain")
    with toolkit(home, text) as kit:
        assert kit.lease_once("c").credential.secret.reveal() == "key-plain"


def test_chains_that_refer_to_each_other_are_refused(home):
    text = '[providers.a]\ntype = "chain"\nof = ["b"]\n[providers.b]\ntype = "chain"\nof = ["a"]\n'
    with toolkit(home, text) as kit, pytest.raises(ConfigError):
        kit.fetch(SecretRef("a", "x"), timeout=timedelta(seconds=1))


def test_a_broker_for_references_in_code_needs_no_file(monkeypatch):
    monkeypatch.setenv("SECRETKIT_TEST_KEY", "key-code")
    from secretkit import Broker

    with Broker.from_refs(claude="env:SECRETKIT_TEST_KEY") as broker:
        assert broker.get("claude") == Secret("key-code")


def test_broker_from_config_reads_the_file_it_is_given(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("A_KEY", "key-a")
    toolkit(home, ENV)
    from secretkit import AsyncBroker, Broker

    with Broker.from_config(home / "secretkit.toml") as broker:
        assert broker.names() == ("claude",)
    assert AsyncBroker.from_config(home / "secretkit.toml").names() == ("claude",)


def test_a_third_partys_package_adds_a_provider_all_the_way(home):
    """A hand-made installed package, in a process of its own, leases through the broker."""
    site = home / "site"
    info = site / "acme_secretkit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-secretkit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[secretkit.providers]\nacme = acme_store:Acme\n")
    (site / "acme_store.py").write_text(
        textwrap.dedent(
            """
            from secretkit.core.secret import Secret
            from secretkit.ports import Fetched

            class Acme:
                @classmethod
                def open(cls, options, context):
                    return cls()

                def fetch(self, ref, *, timeout):
                    return Fetched(secret=Secret("acme-" + ref.path))
            """
        )
    )
    file = home / "secretkit.toml"
    file.write_text(
        '[providers.acme]\ntype = "acme"\n'
        '[credentials.claude]\nkind = "anthropic-api-key"\nsource = "acme:key"\n'
    )
    file.chmod(0o600)
    script = (
        "import secretkit, sys\n"
        "with secretkit.Broker.from_config(sys.argv[1]) as broker:\n"
        "    print(broker.get('claude').reveal() == 'acme-key')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        env={"HOME": str(home), "PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_closing_closes_the_providers_that_hold_something_open(home):
    class Holding:
        closed = False

        def fetch(self, ref, *, timeout):
            return Fetched(secret=Secret("key-h"))

        def close(self):
            self.closed = True

    provider = Holding()
    config = toolkit(home, ENV).config
    kit = wiring.Toolkit(config, environ={"HOME": str(home)}, providers={"env": provider})
    with kit:
        kit.lease_once("claude")
    assert provider.closed


def test_what_a_broker_handed_out_is_taken_out_of_logs(home):
    from secretkit.redact import default

    value = "opaque-" + "v" * 20
    text = ENV.replace("anthropic-api-key", "opaque")
    with toolkit(home, text, A_KEY=value) as kit, kit.broker() as broker:
        broker.lease("claude")
        assert value not in default().text(f"oops: {value}")


@pytest.mark.parametrize("refs", [{}, {"claude": ""}, {"claude": []}, {"claude": None}])
def test_references_in_code_that_are_none_are_refused(refs):
    from secretkit import Broker

    with pytest.raises(ConfigError) as caught:
        Broker.from_refs(**refs)
    assert "from_refs" in caught.value.hint
