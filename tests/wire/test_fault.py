"""What goes wrong with a connection, in the words of the port."""

from __future__ import annotations

import socket
import ssl
from http.client import BadStatusLine, IncompleteRead

import pytest

from secretkit.errors import ProviderError, ProviderTimeoutError, ProviderUnavailableError
from secretkit.wire.address import read_address
from secretkit.wire.fault import broken, unreached
from secretkit.wire.line import TooLargeError

ADDRESS = read_address("https://store.example:8200/v1/secret?x=y")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), ProviderTimeoutError, "in time"),
        (socket.gaierror(-2, "Name or service not known"), ProviderUnavailableError, "not known"),
        (ConnectionRefusedError(), ProviderUnavailableError, "refuses connections"),
        (OSError(101, "Network is unreachable"), ProviderUnavailableError, "is unreachable"),
        (OSError(), ProviderUnavailableError, "cannot be reached: OSError"),
        (ConnectionResetError(), ProviderUnavailableError, "cannot be reached"),
        (ssl.SSLEOFError(8, "EOF"), ProviderUnavailableError, "no TLS came about"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else None,
)
def test_nobody_was_reached(error, kind, words):
    said = unreached(error, address=ADDRESS, ref="vault:x")
    assert type(said) is kind
    assert words in str(said)
    check(said)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), ProviderTimeoutError, "in time"),
        (TooLargeError(), ProviderError, "larger than 1 MiB"),
        (ConnectionResetError(), ProviderError, "ended the connection"),
        (BrokenPipeError(), ProviderError, "ended the connection"),
        (ssl.SSLEOFError(8, "EOF"), ProviderError, "ended the connection"),
        (ssl.SSLError(1, "alert"), ProviderError, "ended TLS"),
        (IncompleteRead(b"half"), ProviderError, "ended the connection"),
        (BadStatusLine("220 smtp"), ProviderError, "is no HTTP"),
        (ValueError(), ProviderError, "is no HTTP"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else None,
)
def test_no_whole_reply_came(error, kind, words):
    said = broken(error, address=ADDRESS, ref="vault:x")
    assert type(said) is kind
    assert words in str(said)
    assert "smtp" not in str(said)
    check(said)


def check(said: ProviderError) -> None:
    assert said.ref == "vault:x"
    assert said.hint
    assert said.retryable
    assert "store.example" in str(said)
    assert "/v1/secret" not in str(said)
