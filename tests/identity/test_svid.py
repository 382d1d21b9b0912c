"""An X.509-SVID in files, as TLS clients take it."""

import ssl
import stat
from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.errors import ConfigError
from secretkit.identity.spiffe import WorkloadApi
from secretkit.identity.svid import next_look, write_svid
from secretkit.testing.context import provider_context
from secretkit.testing.workload import WorkloadStub

ID = "spiffe://example.org/broker"


@pytest.fixture
def found(tmp_path_factory):
    with WorkloadStub(tmp_path_factory.mktemp("w") / "a.sock") as agent:
        agent.register(ID)
        yield WorkloadApi(agent.url, context=provider_context()).x509(timeout=timedelta(seconds=10))


def test_python_s_tls_loads_both_files(found, tmp_path):
    write_svid(found, folder=str(tmp_path / "svid"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(tmp_path / "svid/svid.pem")
    context.load_verify_locations(tmp_path / "svid/bundle.pem")
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "svid").iterdir()}
    assert modes == {"svid.pem": 0o600, "bundle.pem": 0o644}


def test_writing_again_replaces_them(found, tmp_path):
    write_svid(found, folder=str(tmp_path))
    before = (tmp_path / "svid.pem").stat().st_ino
    write_svid(found, folder=str(tmp_path))
    assert (tmp_path / "svid.pem").stat().st_ino != before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_one_error(found, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_svid(found, folder=str(tmp_path / "file"))


@pytest.mark.parametrize(("left", "wait"), [(-5, 1), (0, 1), (3, 1.5), (60, 30), (3600, 60)])
def test_the_agent_is_asked_at_half_of_what_is_left(left, wait):
    now = SystemClock().now()
    found = next_look(now, expires_at=now + timedelta(seconds=left))
    assert found == timedelta(seconds=wait)
