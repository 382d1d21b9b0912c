"""Where verifiers find the issuer's public keys."""

import http.client
import socket
import stat
import struct
import threading

import pytest

from broker.world import until
from secretkit.errors import ConfigError
from secretkit.identity.publication import Face, write_documents

DOCUMENTS = {".well-known/openid-configuration": '{"a": 1}\n', "jwks.json": '{"keys": []}\n'}


def test_the_files_lie_where_a_web_server_finds_them(tmp_path):
    write_documents(DOCUMENTS, folder=str(tmp_path / "public"))
    for name, text in DOCUMENTS.items():
        path = tmp_path / "public" / name
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert len(list((tmp_path / "public").iterdir())) == 2


def test_a_file_is_replaced_in_one_step_and_only_if_it_changes(tmp_path):
    write_documents(DOCUMENTS, folder=str(tmp_path))
    before = (tmp_path / "jwks.json").stat().st_ino
    write_documents(DOCUMENTS, folder=str(tmp_path))
    assert (tmp_path / "jwks.json").stat().st_ino == before
    write_documents(DOCUMENTS | {"jwks.json": "{}\n"}, folder=str(tmp_path))
    assert (tmp_path / "jwks.json").stat().st_ino != before


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as caught:
        write_documents(DOCUMENTS, folder=str(tmp_path / "file"))
    assert caught.value.key_path == "identity.issuer.publish"


def get(face, path):
    line = http.client.HTTPConnection("127.0.0.1", face.port, timeout=10)
    try:
        line.request("GET", path)
        reply = line.getresponse()
        return reply.status, reply.getheader("Cache-Control"), reply.read().decode()
    finally:
        line.close()


def test_a_proxy_can_ask_for_them():
    with Face(host="127.0.0.1", port=0, max_age=60) as face:
        assert get(face, "/jwks.json")[0] == 404
        face.publish(DOCUMENTS)
        assert get(face, "/jwks.json?x=1") == (200, "max-age=60", DOCUMENTS["jwks.json"])
        assert get(face, "/.well-known/openid-configuration")[0] == 200
        for path in ("/", "/../jwks.json", "/jwks.json/"):
            assert get(face, path) == (404, None, "not found\n")
        with pytest.raises(ConfigError, match="nobody can listen"):
            Face(host="127.0.0.1", port=face.port, max_age=60).__enter__()


def test_a_client_that_goes_away_leaves_no_traceback(capfd):
    with Face(host="127.0.0.1", port=0, max_age=1) as face:
        face.publish({"jwks.json": "x" * 4_000_000})  # more than the socket takes at once
        with socket.create_connection(("127.0.0.1", face.port)) as line:
            line.sendall(b"GET /jwks.json HTTP/1.1\r\n\r\n")
            assert line.recv(8) == b"HTTP/1.0"
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(
            lambda: not any("process_request" in one.name for one in threading.enumerate()),
            what="the answer ended",
        )
    assert capfd.readouterr().err == ""
