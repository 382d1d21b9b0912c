"""Where a request may go."""

from __future__ import annotations

import pytest

from secretkit.errors import ConfigError
from secretkit.wire import Address, read_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://store.example", ("https", "store.example", 443, "/")),
        ("HTTPS://Store.Example/A?b=c&d", ("https", "store.example", 443, "/A?b=c&d")),
        ("https://store.example:8200/v1/a%2Fb", ("https", "store.example", 8200, "/v1/a%2Fb")),
        ("https://[2001:db8::1]:8200/", ("https", "2001:db8::1", 8200, "/")),
        ("https://10.0.0.1?x=1", ("https", "10.0.0.1", 443, "/?x=1")),
        ("https://my_host.local./x//y/../z", ("https", "my_host.local.", 443, "/x//y/../z")),
        ("http://127.0.0.1:80/", ("http", "127.0.0.1", 80, "/")),
        ("http://127.8.9.1:8200/", ("http", "127.8.9.1", 8200, "/")),
        ("http://localhost/", ("http", "localhost", 80, "/")),
        ("http://[::1]/", ("http", "::1", 80, "/")),
        ("http://169.254.169.254/x", ("http", "169.254.169.254", 80, "/x")),
        ("http://169.254.170.2/x", ("http", "169.254.170.2", 80, "/x")),
        ("http://169.254.170.23/x", ("http", "169.254.170.23", 80, "/x")),
        ("http://[fd00:ec2::23]/x", ("http", "fd00:ec2::23", 80, "/x")),
        ("http://[fd00:ec2::254]/x", ("http", "fd00:ec2::254", 80, "/x")),
        ("http://metadata.google.internal/x", ("http", "metadata.google.internal", 80, "/x")),
    ],
)
def test_an_address_is_read(url, address):
    scheme, host, port, target = address
    assert read_address(url) == Address(scheme=scheme, host=host, port=port, target=target)


@pytest.mark.parametrize(
    "url",
    [
        "http://store.example/",
        "http://10.0.0.1/",
        "http://169.254.169.253/",
        "http://0.0.0.0/",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
        "http://2130706433/",
        "http://[::]/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_clear_text_to_elsewhere_is_refused(url):
    with pytest.raises(ConfigError, match="clear text"):
        read_address(url)


@pytest.mark.parametrize("url", ["https://u@a.example/", "https://u:p@a.example", "https://a\\@b/"])
def test_a_user_or_a_password_is_refused(url):
    with pytest.raises(ConfigError, match="user name"):
        read_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store.example",
        "//store.example/",
        "https:store.example",
        "https:/store.example",
        "https://",
        "https:///path",
        "https://?x",
        "https://:8200/",
        "unix:///run/x.sock",
        "file:///etc/passwd",
        "https://a b.example/",
        "https://a.example/\n",
        "\thttps://a.example/",
        "https://a.example/x\r\ny: z",
        "https://bücher.example/",
        "https://a.example/ü",
        "https://a.example/#part",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:x/",
        "https://a..example/",
        "https://-a.example/",
        "https://a.example\\b/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 127}aa/",
        "https://[::1/",
        "https://[::1%25eth0]/",
        "https://[v1.x]/",
        "https://[127.0.0.1]/",
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="no address"):
        read_address(url)


def test_a_refused_address_is_not_shown(canary):
    for url in (f"https://a:{canary.reveal()}@b/", f"https://a/#{canary.reveal()}"):
        with pytest.raises(ConfigError) as caught:
            read_address(url)
        assert canary.reveal() not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://a.example/", "a.example"),
        ("https://a.example:443/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ("http://[::1]:8200/", "[::1]:8200"),
    ],
)
def test_an_address_is_written_as_the_host_header_has_it(url, text):
    assert str(read_address(url)) == text
