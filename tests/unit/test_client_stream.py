"""The client's byte stream: what a socket does not take, TLS in memory, and what TLS does itself.

OpenSSL's own server is the other end of TLS: it updates keys and renegotiates when it is told to.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.ca import CertificateAuthority
from tests.support.prerequisites import require
from tests.support.waiting import becomes_readable, wait_for
from vpnws.client.carry.stream import RECEIVE_BYTES, Stream, TlsStream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 5.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    require("openssl")
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


def trusting(authority: CertificateAuthority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.crt)


def shake_hands(stream: TlsStream) -> None:
    while not stream.handshake():
        assert becomes_readable(stream.fd, WAIT_S)


def read(stream: Stream, count: int) -> bytes:
    """Return the next `count` bytes, or what came before the end."""
    got, buffer = b"", memoryview(bytearray(RECEIVE_BYTES))
    until_s = time.monotonic() + WAIT_S
    while len(got) < count and time.monotonic() < until_s:
        length = stream.read_into(buffer)
        if length == 0:
            break
        if length is None:
            becomes_readable(stream.fd, 0.1)
        got += buffer[: length or 0]
    return got


@contextmanager
def tls_pair(authority: CertificateAuthority) -> Iterator[tuple[TlsStream, ssl.SSLSocket]]:
    """Yield a client's stream and the server's socket of one TLS connection."""
    own = authority.server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.crt, own.key)
    near, far = socket.socketpair()
    stream = TlsStream(near, trusting(authority), "127.0.0.1")
    assert not stream.handshake()
    server = context.wrap_socket(far, server_side=True, do_handshake_on_connect=False)
    server.setblocking(False)
    done = [False, False]
    while not all(done):
        try:
            server.do_handshake()
            done[0] = True
        except ssl.SSLWantReadError:
            pass
        done[1] = done[1] or stream.handshake()
    server.settimeout(WAIT_S)
    try:
        yield stream, server
    finally:
        stream.close()
        server.close()


class TestOverTcp:
    def test_what_the_socket_does_not_take_is_sent_later_in_order(self) -> None:
        near, far = socket.socketpair()
        stream = Stream(near)
        data = bytes(range(256)) * 8000
        for start in range(0, len(data), 100_000):
            stream.write(data[start : start + 100_000])
        stream.flush()
        stream.write(b"end")
        assert stream.unsent_bytes > 3
        got = b""
        while len(got) < len(data) + 3:
            got += far.recv(65536)
            stream.flush()
        assert got == data + b"end"
        assert not stream.unsent_bytes
        stream.close()
        far.close()

    def test_the_end_of_the_other_side_is_raised(self) -> None:
        near, far = socket.socketpair()
        stream = Stream(near)
        far.close()
        stream.write(b"x")
        with pytest.raises(OSError, match="Broken pipe"):
            stream.flush()
        stream.close()


class TestOverTls:
    def test_much_crosses_both_ways(self, authority: CertificateAuthority) -> None:
        data = bytes(range(256)) * 1000
        with tls_pair(authority) as (stream, server):
            stream.write(data)
            stream.flush()
            got = b""
            while len(got) < len(data):
                got += server.recv(65536)
                stream.flush()
            assert got == data
            server.sendall(data[:100_000])
            assert read(stream, 100_000) == data[:100_000]

    def test_a_small_buffer_leaves_the_rest_pending(self, authority: CertificateAuthority) -> None:
        with tls_pair(authority) as (stream, server):
            server.sendall(b"0123456789")
            small = memoryview(bytearray(4))
            becomes_readable(stream.fd, WAIT_S)
            assert [stream.read_into(small), bytes(small)] == [4, b"0123"]
            assert stream.has_pending()
            assert read(stream, 6) == b"456789"
            assert not stream.has_pending()

    def test_half_a_tls_record_is_nothing_yet(self, authority: CertificateAuthority) -> None:
        near, far = socket.socketpair()
        stream = TlsStream(near, trusting(authority), "127.0.0.1")
        assert not stream.handshake()
        far.sendall(b"\x16\x03\x03\x40")
        assert not stream.handshake()
        assert not stream.has_pending()
        stream.close()
        far.close()

    def test_a_close_notify_is_the_end_after_all_data(
        self, authority: CertificateAuthority
    ) -> None:
        with tls_pair(authority) as (stream, server):
            server.sendall(b"last")
            server.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                server.unwrap()
            buffer = memoryview(bytearray(100))
            assert read(stream, 5) == b"last"
            assert stream.has_pending()
            assert stream.read_into(buffer) == 0

    def test_an_end_without_one_is_an_end_too(self, authority: CertificateAuthority) -> None:
        with tls_pair(authority) as (stream, server):
            socket.socket(fileno=server.detach()).close()
            buffer = memoryview(bytearray(100))
            # TLS's own records come first.
            assert [stream.read_into(buffer) for _ in range(3)][-1] == 0

    def test_bytes_that_are_no_tls_are_raised(self, authority: CertificateAuthority) -> None:
        with tls_pair(authority) as (stream, server), socket.socket(fileno=server.detach()) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ssl.SSLError):
                stream.read_into(memoryview(bytearray(100)))

    def test_closing_says_so_to_the_other_end(self, authority: CertificateAuthority) -> None:
        with tls_pair(authority) as (stream, server):
            stream.close()
            assert server.recv(10) == b""


class TestWhatTlsDoesItself:
    @pytest.mark.parametrize(
        ("version", "command", "wish", "answer", "answers"),
        [
            ("-tls1_3", "K", "KeyUpdate", "KeyUpdate", 2),
            ("-tls1_3", "k", "KeyUpdate", "KeyUpdate", 1),
            ("-tls1_2", "r", "HelloRequest", "ClientHello", 2),
        ],
    )
    def test_new_keys_in_the_middle_change_nothing(
        self,
        authority: CertificateAuthority,
        tmp_path: Path,
        version: str,
        command: str,
        wish: str,
        answer: str,
        answers: int,
    ) -> None:
        own = authority.server("127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        log = tmp_path / "s_server"
        with log.open("w") as output:
            server = subprocess.Popen(
                f"openssl s_server -accept 127.0.0.1:{port} -cert {own.crt} -key {own.key}"
                f" {version} -msg".split(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            stream = TlsStream(connected(port), trusting(authority), "127.0.0.1")
            shake_hands(stream)
            stream.write(b"first\n")
            stream.flush()
            wait_for(lambda: "first" in log.read_text(), WAIT_S, "what was sent")
            self.tell(server, command)
            wait_for(lambda: f", {wish}" in log.read_text(), WAIT_S, "the server's wish")
            self.talk(stream, server, log)
            assert log.read_text().count(f", {answer}") == answers
            stream.close()
        finally:
            processes.stop(server)

    def tell(self, server: subprocess.Popen[str], line: str) -> None:
        assert server.stdin is not None
        server.stdin.write(f"{line}\n")
        server.stdin.flush()

    def talk(self, stream: TlsStream, server: subprocess.Popen[str], log: Path) -> None:
        """Exchange lines, both ways at once."""
        for number in range(20):
            self.tell(server, f"line {number}")
            stream.write(f"back {number}\n".encode())
            stream.flush()
            expected = f"line {number}\n".encode()
            assert read(stream, len(expected)) == expected
            arrived = partial(self.serve_until, stream, log, f"back {number}\n")
            wait_for(arrived, WAIT_S, "what was sent")

    @staticmethod
    def serve_until(stream: TlsStream, log: Path, text: str) -> bool:
        """Do what the pump does when the socket is readable; return whether the log has `text`.

        In a renegotiation TLS sends what was written only after it has read the server's part.
        """
        assert stream.read_into(memoryview(bytearray(100))) is None
        stream.flush()
        return text in log.read_text()


def connected(port: int) -> socket.socket:
    until_s = time.monotonic() + WAIT_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
