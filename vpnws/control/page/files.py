"""Gives the files of the live page to whoever serves them, with the headers that go with each.

They are read once. A browser asks for each again and gets 304 while it has not changed, so that no
page mixes the modules of two versions of the server for longer than a reload.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INDEX: Final = "index.html"
CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What the page may load (Content Security Policy Level 3): its own files and the API, no more."""
STRICT_HEADERS: Final = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cache-Control", "no-cache"),
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent."""

    body: bytes
    content_type: str
    etag: str
    """A strong validator (RFC 9110, 8.8.3), with its quotes."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of the answer, without its content's type and length."""
        return (("ETag", self.etag), *STRICT_HEADERS)

    def is_known(self, if_none_match: str) -> bool:
        """Return whether a request's If-None-Match names this version: then 304 is the answer.

        The comparison is the weak one (RFC 9110, 13.1.2), because a web server that compresses
        makes a weak validator of ours.
        """
        named = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return self.etag in named or "*" in named


class PageFiles:
    """All files of the page, by their names."""

    def __init__(self, directory: Path = Path(__file__).parent) -> None:
        """Read them. Raises `OSError`."""
        self._files = {
            path.name: _read(path)
            for path in sorted(directory.iterdir())
            if path.suffix in CONTENT_TYPES
        }

    def names(self) -> tuple[str, ...]:
        """Return the names, sorted."""
        return tuple(self._files)

    def find(self, name: str) -> PageFile | None:
        """Return the file of this name; None if the page has none such. No path gets further."""
        return self._files.get(name)

    def index(self) -> PageFile:
        """Return the page itself."""
        return self._files[INDEX]


def _read(path: Path) -> PageFile:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:32]
    return PageFile(body, CONTENT_TYPES[path.suffix], f'"{digest}"')
