"""What vpnws relies on in uWSGI's cache: checks for the real one and for its fake alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from vpnws.server.uwsgi import Uwsgi

ITEMS: Final = 10
"""The cache that is checked is configured with this many."""
KEY_BYTES: Final = 40
VALUE_BYTES: Final = 64


class CacheContract:
    """One check per method named `check_...`; each begins with a cache that it empties."""

    def __init__(self, uwsgi: Uwsgi) -> None:
        self.uwsgi = uwsgi
        for key in uwsgi.cache_keys():
            uwsgi.cache_delete(key)

    @classmethod
    def checks(cls) -> list[str]:
        """Return the names of all checks."""
        return sorted(name for name in vars(cls) if name.startswith("check_"))

    def check_what_is_written_is_read(self) -> None:
        """An entry is there, and a new value takes the place of the old one."""
        assert self.uwsgi.cache_get(b"key") is None
        assert self.uwsgi.cache_put(b"key", b"one")
        assert self.uwsgi.cache_put(b"key", b"two")
        assert self.uwsgi.cache_get(b"key") == b"two"
        assert self.uwsgi.cache_keys() == [b"key"]

    def check_what_is_deleted_is_gone(self) -> None:
        """A deleted entry is gone; deleting a key that does not exist does nothing."""
        self.uwsgi.cache_put(b"key", b"one")
        self.uwsgi.cache_delete(b"key")
        self.uwsgi.cache_delete(b"key")
        assert self.uwsgi.cache_get(b"key") is None
        assert self.uwsgi.cache_keys() == []

    def check_keys_and_values_may_have_zero_bytes(self) -> None:
        """Keys are compared to their end, not to their first zero byte."""
        assert self.uwsgi.cache_put(b"a\0b", b"\0\0v")
        assert self.uwsgi.cache_get(b"a\0b") == b"\0\0v"
        assert self.uwsgi.cache_get(b"a\0c") is None

    def check_one_item_stays_free(self) -> None:
        """A cache of N takes N - 1 entries, then no more; existing ones can still be written."""
        keys = [b"%d" % number for number in range(ITEMS)]
        assert [self.uwsgi.cache_put(key, b"v") for key in keys] == [
            *[True] * (ITEMS - 1),
            False,
        ]
        assert sorted(self.uwsgi.cache_keys()) == keys[:-1]
        assert self.uwsgi.cache_put(keys[0], b"w")
        self.uwsgi.cache_delete(keys[0])
        assert self.uwsgi.cache_put(keys[-1], b"v")

    def check_what_is_too_long_is_refused(self) -> None:
        """A key or a value of just the configured size fits, a longer one does not."""
        key, value = b"k" * KEY_BYTES, b"v" * VALUE_BYTES
        assert self.uwsgi.cache_put(key, value)
        assert not self.uwsgi.cache_put(key + b"k", value)
        assert not self.uwsgi.cache_put(b"key", value + b"v")
        assert self.uwsgi.cache_keys() == [key]
