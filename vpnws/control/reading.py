"""Reads what a request brings, as the types that its route names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import msgspec

from vpnws.control.calls import JSON, MAX_BODY_BYTES, CallError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Struct

MAX_QUERY_FIELDS: Final = 50
"""A query with more fields is refused."""
_LENGTH: Final = re.compile("[0-9]{1,10}")


def read_query(type_: type[Struct] | None, text: str) -> Any:
    """Return a query as its route's type; of a field given twice, the last. Raises CallError."""
    try:
        fields = parse_qs(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=MAX_QUERY_FIELDS
        )
        known = type_.__struct_encode_fields__ if type_ is not None else ()
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise CallError(f"{unknown[0][:40]!r} is not a field of this query: {_or_none(known)}")
        if type_ is None:
            return None
        return msgspec.convert(
            {name: last[-1] for name, last in fields.items()}, type_, strict=False
        )
    except msgspec.ValidationError as error:
        raise CallError(f"the query does not fit: {error}") from error
    except ValueError as error:
        raise CallError(f"the query cannot be read: {error}") from error


def _or_none(known: tuple[str, ...]) -> str:
    return f"it has {', '.join(known)}" if known else "it has none"


def read_body(type_: type[Struct] | None, environ: Mapping[str, Any]) -> Any:
    """Return the body of a request as its route's type. Raises CallError."""
    if type_ is None:
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if _LENGTH.fullmatch(length) is None or int(length) > MAX_BODY_BYTES:
        raise CallError(f"a body has at most {MAX_BODY_BYTES} bytes", 413)
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip()
    if int(length) and kind != JSON:
        raise CallError(f"a body must be JSON (Content-Type: {JSON})", 415)
    try:
        return msgspec.json.decode(environ["wsgi.input"].read(int(length)) or b"{}", type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CallError(f"the body does not fit: {error}") from error
    except OSError as error:
        raise CallError("the body did not arrive: send it again", 408) from error
