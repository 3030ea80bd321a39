"""A station's link on a real socket: what its queue is told of a socket that is full."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.support.fabric import Fabric, frame, mac
from vpnws.server.port.link import Link
from vpnws.server.port.session import Session
from vpnws.switch.format import PLAIN_MESSAGES, RECORDS
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from vpnws.switch.format import Format


@pytest.mark.parametrize("format_", [PLAIN_MESSAGES, RECORDS])
def test_the_queue_is_by_flow_for_as_long_as_the_socket_is_full(format_: Format) -> None:
    fabric = Fabric()
    sender, port = fabric.attach(), fabric.attach(format_=format_)
    near, far = socket.socketpair()
    link = Link(ManualLoop(), near, Session(port.egress), port, lambda _link: False)
    with near, far:
        while not port.egress.begun:
            fabric.send(sender, frame(BROADCAST, mac(1), 1400))
            link.flush()
        assert port.egress.backed_up
        emptied = 0
        for _ in range(50):
            fabric.send(sender, *[frame(BROADCAST, mac(1), 1400)] * 12)
            far.recv(8192)
            link._write()
            if port.egress.begun:
                assert port.egress.backed_up
                emptied += port.egress.size_bytes == sum(map(len, port.egress.rest))
        assert emptied, "never was all taken, and some of it not written"
        far.setblocking(False)
        while port.egress.waiting:
            far.recv(1 << 20)
            link._write()
        assert not port.egress.backed_up
        link.close()
