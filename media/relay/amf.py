"""AMF0 values as RTMP commands carry them: read with bounds on depth and number, written for our answers. Pure.

Section numbers are those of Adobe's "Action Message Format -- AMF 0" (2007).
"""

from __future__ import annotations

import struct
from typing import Final

_NUMBER: Final = 0x00
_BOOLEAN: Final = 0x01
_STRING: Final = 0x02
_OBJECT: Final = 0x03
_NULL: Final = 0x05
_UNDEFINED: Final = 0x06
_ECMA_ARRAY: Final = 0x08
_OBJECT_END: Final = 0x09
_STRICT_ARRAY: Final = 0x0A
_DATE: Final = 0x0B
_LONG_STRING: Final = 0x0C
# `connect` of OBS and ffmpeg nests two deep and holds ~20 properties.
_DEPTH_MAX: Final = 8
_VALUES_MAX: Final = 1_000

Value = bool | float | str | dict[str, "Value"] | list["Value"] | None


class AmfError(ValueError):
    """Bytes that are no AMF0, or more of it than anyone needs."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._values = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise AmfError("a value ends too early")
        piece, self.at = self.data[self.at : end], end
        return piece

    def text(self, length_bytes: int) -> str:
        return self.take(int.from_bytes(self.take(length_bytes), "big")).decode("utf-8", "replace")

    def value(self, depth: int = 0) -> Value:
        self._values += 1
        if depth > _DEPTH_MAX or self._values > _VALUES_MAX:
            raise AmfError("values are nested too deep, or too many")
        kind = self.take(1)[0]
        if kind == _NUMBER:
            return float(struct.unpack(">d", self.take(8))[0])
        if kind == _BOOLEAN:
            return self.take(1) != b"\0"
        if kind == _STRING:
            return self.text(2)
        if kind == _LONG_STRING:
            return self.text(4)
        if kind == _OBJECT:
            return self._properties(depth)
        if kind == _ECMA_ARRAY:
            # 2.10: the count is only a hint; the end marker decides.
            self.take(4)
            return self._properties(depth)
        if kind == _STRICT_ARRAY:
            count = int.from_bytes(self.take(4), "big")
            if count > _VALUES_MAX:
                raise AmfError("an array is too long")
            return [self.value(depth + 1) for _ in range(count)]
        if kind == _DATE:
            return float(struct.unpack(">dh", self.take(10))[0])
        if kind in (_NULL, _UNDEFINED):
            return None
        raise AmfError(f"a value of type {kind}")

    def _properties(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            name = self.text(2)
            if not name and self.data[self.at : self.at + 1] == bytes([_OBJECT_END]):
                self.at += 1
                return found
            found[name] = self.value(depth + 1)


def decode(data: bytes) -> list[Value]:
    """All values in ``data``; raises `AmfError` for anything else."""
    reader = _Reader(data)
    values: list[Value] = []
    while reader.at < len(data):
        values.append(reader.value())
    return values


def encode(*values: Value) -> bytes:
    """The values, one after the other."""
    return b"".join([_encoded(value) for value in values])


def _encoded(value: Value) -> bytes:
    if value is None:
        return bytes([_NULL])
    if isinstance(value, bool):
        return bytes([_BOOLEAN, value])
    if isinstance(value, int | float):
        return struct.pack(">Bd", _NUMBER, value)
    if isinstance(value, str):
        return bytes([_STRING]) + _short(value)
    if isinstance(value, list):
        return struct.pack(">BI", _STRICT_ARRAY, len(value)) + encode(*value)
    properties = b"".join([_short(name) + _encoded(each) for name, each in value.items()])
    return bytes([_OBJECT]) + properties + bytes([0, 0, _OBJECT_END])


def _short(text: str) -> bytes:
    data = text.encode()[:0xFFFF]
    return struct.pack(">H", len(data)) + data
