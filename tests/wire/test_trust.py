"""Whom TLS believes."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from certified import Authority
from secretkit.errors import ConfigError
from secretkit.wire.trust import _loaded_from, trusting


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


def trust(**files: str) -> ssl.SSLContext:
    return trusting(**{"ca_bundle": "", "certificate": "", "private_key_file": ""} | files)


def test_a_bundle_replaces_the_system_and_nothing_is_left_unchecked(authority):
    context = trust(ca_bundle=str(authority.bundle))
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.keylog_filename is None


def test_without_a_bundle_the_system_is_trusted_and_not_the_environment(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.bundle.parent))
    known = {one["serialNumber"] for one in trust(ca_bundle=str(authority.bundle)).get_ca_certs()}
    system = {one["serialNumber"] for one in trust().get_ca_certs()}
    assert not known & system


def test_where_openssl_has_nothing_the_first_file_that_systems_use_is_taken(authority, tmp_path):
    def count(file: Path, folder: Path, *others: Path) -> int | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        found = _loaded_from(context, str(file), str(folder), tuple(map(str, others)))
        return len(context.get_ca_certs()) if found else None

    nothing, bundle = tmp_path / "nothing", authority.bundle
    assert count(nothing, nothing) is None
    assert count(nothing, nothing, nothing, bundle) == 1
    assert count(bundle, nothing, nothing) == 1
    assert count(nothing, tmp_path) is None  # a folder without hashes
    (tmp_path / "0a1b2c3d.0").write_bytes(bundle.read_bytes())
    assert count(nothing, tmp_path, bundle) == 0  # OpenSSL looks into it when it needs one
    assert count(bundle, tmp_path) == 1


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
def test_a_file_without_certificates_is_refused(text, tmp_path):
    path = tmp_path / "bundle.pem"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bundle\.pem"):
        trust(ca_bundle=str(path))


def test_a_certificate_and_its_key_may_lie_in_one_file(authority, tmp_path):
    certificate, key = authority.client("host.example")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
    trust(certificate=str(both))
    trust(certificate=certificate, private_key_file=key)


def test_a_key_of_another_certificate_is_refused(authority):
    certificate, key = authority.client("host.example")
    other = Path(key).read_bytes()
    authority.client("other.example")
    Path(key).write_bytes(other)
    with pytest.raises(ConfigError, match="cannot be used"):
        trust(certificate=certificate, private_key_file=key)


def test_a_key_with_a_password_is_refused_without_asking_for_it(authority):
    certificate, key = authority.client("host.example")
    clear = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    sealed = clear.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    Path(key).write_bytes(sealed)
    with pytest.raises(ConfigError, match="cannot be used") as caught:
        trust(certificate=certificate, private_key_file=key)
    assert "password" in caught.value.hint
