"""Writes GGUF files, version 3."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Union

ALIGNMENT = 32
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
F32 = 0

Scalar = Union[int, float, bool, str]
Value = Union[Scalar, Sequence[Scalar]]


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _type_of(value: Scalar, in_array: bool) -> int:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT32 if in_array else UINT32
    return FLOAT32 if isinstance(value, float) else STRING


def _scalar(value: Scalar, type_: int) -> bytes:
    if type_ == STRING:
        return _string(str(value))
    return struct.pack({BOOL: "<?", INT32: "<i", UINT32: "<I", FLOAT32: "<f"}[type_], value)


def _value(value: Value) -> bytes:
    if isinstance(value, (int, float, str)):
        type_ = _type_of(value, in_array=False)
        return struct.pack("<I", type_) + _scalar(value, type_)
    type_ = _type_of(value[0], in_array=True)
    return struct.pack("<IIQ", ARRAY, type_, len(value)) + b"".join(_scalar(v, type_) for v in value)


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def write(path: Path, metadata: dict[str, Value], tensors: dict[str, tuple[list[int], bytes]]) -> None:
    """tensors: name -> (shape, rows first; the values as little-endian float32)."""
    with open(path, "wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, value in metadata.items():
            file.write(_string(key) + _value(value))
        offset = 0
        for name, (shape, data) in tensors.items():
            dimensions = shape[::-1]  # GGUF names the one first whose values lie side by side
            file.write(_string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *dimensions))
            file.write(struct.pack("<IQ", F32, offset))
            offset += len(data) + -len(data) % ALIGNMENT
        for _, data in tensors.values():
            _pad(file)
            file.write(data)
        _pad(file)
