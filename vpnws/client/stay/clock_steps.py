"""Tells when the wall clock stepped, as it does when a machine wakes up (timerfd_create(2))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import Final

_CLOCK_REALTIME: Final = 0
_TFD_NONBLOCK: Final = os.O_NONBLOCK
_TFD_CLOEXEC: Final = os.O_CLOEXEC
_TFD_TIMER_ABSTIME: Final = 1
_TFD_TIMER_CANCEL_ON_SET: Final = 2
_FAR_FUTURE_S: Final = 2**33
"""The timer itself never expires: only a step of the clock makes it readable."""
_ITIMERSPEC: Final = struct.Struct("@llll")


class ClockSteps:
    """A descriptor that is readable after the wall clock has stepped, until `drain`.

    The kernel says so for every step, also for the one at the end of a suspend. While nothing
    steps, nothing wakes the machine.
    """

    def __init__(self) -> None:
        """Begin to hear. Raises OSError where the kernel or the C library cannot tell."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.fd = _checked(
                self._libc.timerfd_create(_CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC)
            )
        except AttributeError as error:
            raise OSError("this system has no timerfd") from error
        try:
            self._arm()
        except OSError:
            self.close()
            raise

    def drain(self) -> None:
        """Forget the steps so far."""
        # The read fails with ECANCELED, which is what tells of the step.
        with contextlib.suppress(OSError):
            os.read(self.fd, 8)
        self._arm()

    def close(self) -> None:
        """Stop hearing."""
        os.close(self.fd)

    def _arm(self) -> None:
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        expires = _ITIMERSPEC.pack(0, 0, _FAR_FUTURE_S, 0)
        _checked(self._libc.timerfd_settime(self.fd, flags, expires, None))


def _checked(result: int) -> int:
    """Return `result` of a C function. Raises OSError if it says that it has failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
