"""How a setting is declared, kind by kind, and read from its text."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def number(default: int, low: int, high: int, unit: str, sentence: str) -> Any:
    """Declare a whole number from `low` to `high`."""
    return field(
        default=default,
        metadata={"low": low, "high": high, "unit": unit, "sentence": sentence},
    )


def choice(default: str, choices: tuple[str, ...], sentence: str) -> Any:
    """Declare one of `choices`."""
    return field(default=default, metadata={"choices": choices, "unit": "", "sentence": sentence})


def _parse_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("on or off")
    return text == "on"


def switched(default: bool, sentence: str) -> Any:
    """Declare what is on or off."""
    return field(
        default=default, metadata={"parse": _parse_switch, "unit": "", "sentence": sentence}
    )


def parsed_by(default: Any, parse: Callable[[str], Any], sentence: str) -> Any:
    """Declare what `parse` reads; it raises ValueError with what is allowed."""
    return field(default=default, metadata={"parse": parse, "unit": "", "sentence": sentence})


def for_ini(default: str, sentence: str) -> Any:
    """Declare a setting that only uwsgi.ini itself reads."""
    return field(default=default, metadata={"unit": "", "sentence": sentence})


def parse(name: str, text: str, item: Any) -> object:
    """Return the value that `text` is for the setting `name`, declared as the field `item`.

    Raises ConfigError with the setting, its value and what is allowed.
    """
    meta = item.metadata
    if "parse" in meta:
        try:
            return meta["parse"](text)
        except ValueError as error:
            raise ConfigError(f"{name} = {text!r} is not {error}") from error
    if "choices" in meta:
        if text not in meta["choices"]:
            raise ConfigError(f"{name} = {text!r} is not one of {', '.join(meta['choices'])}")
        return text
    if "low" not in meta:
        return text
    unit = f" {meta['unit']}" if meta["unit"] else ""
    allowed = f"a whole number from {meta['low']} to {meta['high']}{unit}"
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ConfigError(f"{name} = {text!r} is not {allowed}")
    if not meta["low"] <= int(text) <= meta["high"]:
        raise ConfigError(f"{name} = {text} is out of range: it must be {allowed}")
    return int(text)
