"""The step of the device: whether this program may open a TAP here."""

from __future__ import annotations

from contextlib import closing

from vpnws.client.doctor.step import NoteError, SkippedError, Step
from vpnws.errors import TapBusyError
from vpnws.tap.linux import exists
from vpnws.tap.opener import Kind, kind_of, open_device


def device_step(text: str) -> Step:
    """Return the step for the device that `text` names; one that is made goes away again."""

    def take() -> str:
        if kind_of(text) is not Kind.NAMED:
            raise SkippedError(f"{text} is not opened by the doctor")
        was_there = exists(text)
        try:
            with closing(open_device(text)) as opened:
                name = opened.tap.name
        except TapBusyError as error:
            raise NoteError(f"{text} is in use, most likely by a client that runs") from error
        return f"{name} can be opened" if was_there else f"a TAP can be made, such as {name}"

    return Step("device", take, is_vital=False)
