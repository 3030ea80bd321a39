"""Reads who issued a certificate from its DER form (X.690, RFC 5280), and believes none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ISSUER_CHARACTERS: Final = 160
"""A longer name of an issuer is cut off here."""
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_OID: Final = 0x06
_VERSION: Final = 0xA0
"""The tag of a certificate's version, [0], which the first version lacks."""
_BMP_STRING: Final = 0x1E
_NAMES: Final = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
}
"""The attributes that are shown, by the content of their OID (RFC 5280 appendix A.1)."""


class _Element(NamedTuple):
    tag: int
    content: bytes


def issuer_of(certificate: bytes) -> str:
    """Return the issuer's distinguished name, such as "CN=Corp CA, O=Corp", in quotes.

    Empty if `certificate`, in DER form, cannot be read or names none. The text is safe to show.
    """
    try:
        parts = [f"{name}={value}" for name, value in _attributes(_issuer(certificate))]
    except ValueError:
        return ""
    text = one_line(", ".join(parts), max_characters=MAX_ISSUER_CHARACTERS)
    return f'"{text}"' if text else ""


def _issuer(certificate: bytes) -> bytes:
    """Return the content of the field `issuer` of a TBSCertificate (RFC 5280 4.1)."""
    signed = _only(_elements(certificate), _SEQUENCE)
    fields = _elements(_only(_elements(signed), _SEQUENCE))
    first = next(fields, None)
    # The serial number and the algorithm come before it, and mostly the version before them.
    skipped = 2 if first is not None and first.tag == _VERSION else 1
    for _ in range(skipped):
        next(fields, None)
    return _only(fields, _SEQUENCE)


def _attributes(name: bytes) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a Name that are shown, the most exact one first."""
    for attributes in reversed(list(_elements(name))):
        for attribute in _elements(attributes.content):
            kind, value = list(_elements(attribute.content))[:2]
            if attributes.tag == _SET and kind.tag == _OID and kind.content in _NAMES:
                yield _NAMES[kind.content], _text(value)


def _text(value: _Element) -> str:
    encoding = "utf-16-be" if value.tag == _BMP_STRING else "utf-8"
    return value.content.decode(encoding, errors="replace")


def _only(elements: Iterator[_Element], tag: int) -> bytes:
    """Return the content of the next element. Raises ValueError if it has another tag."""
    element = next(elements, None)
    if element is None or element.tag != tag:
        raise ValueError("not a certificate")
    return element.content


def _elements(data: bytes) -> Iterator[_Element]:
    """Yield the elements of which `data` consists. Raises ValueError if it ends too early."""
    while data:
        header_bytes, content_bytes = _lengths(data)
        end = header_bytes + content_bytes
        if len(data) < end:
            raise ValueError("an element is cut off")
        yield _Element(data[0], data[header_bytes:end])
        data = data[end:]


def _lengths(data: bytes) -> tuple[int, int]:
    """Return how long the header of the first element is, and how long its content."""
    if len(data) < 2:
        raise ValueError("an element is cut off")
    if data[1] < 0x80:
        return 2, data[1]
    count = data[1] & 0x7F
    if len(data) < 2 + count:
        raise ValueError("an element is cut off")
    return 2 + count, int.from_bytes(data[2 : 2 + count])
