"""The client's URLs: what is understood, what is refused, and what is never shown."""

import pytest

from vpnws.client.connect.url import hide_userinfo, parse_url
from vpnws.client.settings import ServerUrl
from vpnws.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "secure", "host", "port", "path", "query"),
    [
        ("ws://a.example", False, "a.example", 80, "/", ""),
        ("wss://a.example", True, "a.example", 443, "/", ""),
        ("WSS://A.Example:8443/VPN", True, "a.example", 8443, "/VPN", ""),
        ("ws://192.0.2.7:1/x?t=1&u=2", False, "192.0.2.7", 1, "/x", "t=1&u=2"),
        ("ws://h:8080/x?mail=a@b", False, "h", 8080, "/x", "mail=a@b"),
        ("ws://h/x?mail=a@b", False, "h", 80, "/x", "mail=a@b"),
        ("ws://[2001:DB8::0:1]:65535/", False, "2001:db8::1", 65535, "/", ""),
        ("ws://[fe80::1%25eth0]/", False, "fe80::1%eth0", 80, "/", ""),
        ("ws://bücher.example/ü%20x", False, "xn--bcher-kva.example", 80, "/%C3%BC%20x", ""),
    ],
)
def test_the_parts_of_a_url_are_found(
    text: str, secure: bool, host: str, port: int, path: str, query: str
) -> None:
    assert parse_url(text) == ServerUrl(secure, host, port, path, query)


@pytest.mark.parametrize(
    ("userinfo", "user", "password"),
    [
        ("al:secret", "al", "secret"),
        ("a%40b:p%3Aq%2Fr%25", "a@b", "p:q/r%"),
        ("al:", "al", ""),
        ("al:a:b", "al", "a:b"),
        ("%C3%BC:%E2%82%AC", "ü", "€"),
    ],
)
def test_user_and_password_are_percent_decoded(userinfo: str, user: str, password: str) -> None:
    url = parse_url(f"wss://{userinfo}@h.example/vpn")
    assert (url.user, url.password) == (user, password)
    assert url.host == "h.example"


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("", "empty"),
        ("vpn.example.org", "begin with ws://"),
        ("ws:vpn.example.org", "begin with ws://"),
        ("ftp://vpn.example.org", "begin with ws://"),
        ("http://h/", "the scheme is http, where ws is needed"),
        ("https://h/", "the scheme is https, where wss is needed"),
        ("ws://", "names no host"),
        ("ws:///vpn", "names no host"),
        ("ws://h:0/", "port"),
        ("ws://h:65536/", "port"),
        ("ws://h:http/", "port"),
        ("ws://[::1/", "host"),
        ("ws://2001:db8::1/", "needs brackets, like wss://[2001:db8::1]"),
        ("ws://al:pw@::1:80/", "needs brackets"),
        ("ws://al:p/w@h/", "write / ? # @ [ ] as %2F"),
        ("ws://al:12/34@h/", "write / ? # @ [ ] as %2F"),
        ("ws://al:p?w@h/", "write / ? # @ [ ] as %2F"),
        ("ws://al:p[w@h/", "write / ? # @ [ ] as %2F"),
        ("ws://al:p#w@h/", "write %23"),
        ("ws://[::g]/", "host"),
        ("ws://[fe80::1]/", "fe80::1 needs the device that leads there, like [fe80::1%eth0]"),
        ("ws://a..b/", "host"),
        (f"ws://{'a' * 64}.example/", "host"),
        ("ws://a_b;c/", "host"),
        ("ws://h/a b", "space"),
        ("ws://h/\r\nX: y", "control character"),
        ("ws://h/#top", "fragment"),
        ("ws://h/#", "fragment"),
        ("ws://al@h/", "without a password"),
        ("ws://:pw@h/", "user's name is empty"),
        ("ws://a%3Ab:pw@h/", "user's name"),
        ("ws://%FF:pw@h/", "UTF-8"),
    ],
)
def test_a_wrong_url_is_refused_in_words(text: str, needle: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert needle in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ws://al:s3cret@h:99999/",
        "ws://al:s3cret@[::g]/",
        "http://al:s3cret@h/",
        "ws://al:s3cret@h/#x",
        "ws://al:s3cret@h/ x",
        "ws://a%3Al:s3cret@h/",
        "ws://al:s3cret/x@h/",
        "ws://al:12/s3cret@h/",
        "ws://al:s3cret?x@h/",
        "ws://al:s3cret[x@h/",
        "ws://al:s3cret@2001:db8::1/",
    ],
)
def test_the_sentence_about_a_wrong_url_has_no_password_in_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert "s3cret" not in str(caught.value)


def test_what_is_shown_has_no_user_no_password_and_no_query() -> None:
    url = parse_url("wss://al:s3cret@h.example:8443/vpn?token=t0ken")
    assert url.shown == "wss://h.example:8443/vpn"
    for secret in ("al", "s3cret", "t0ken"):
        assert secret not in repr(url).replace("ServerUrl", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ws://[::1]/x", "ws://[::1]/x"),
        ("ws://[::1]:8000/x", "ws://[::1]:8000/x"),
        ("ws://h:80/", "ws://h/"),
        ("wss://h:80/", "wss://h:80/"),
    ],
)
def test_hosts_and_ports_are_shown_as_in_a_url(text: str, shown: str) -> None:
    assert parse_url(text).shown == shown


def test_the_server_is_not_told_of_our_ipv6_zone() -> None:
    assert parse_url("ws://[fe80::1%25eth0]/").server_name == "fe80::1"


def test_userinfo_is_hidden_even_where_it_breaks_the_rules() -> None:
    assert hide_userinfo("got ws://al:p@ss/w@h/x now") == "got ws://***@h/x now"
