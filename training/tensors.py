"""Reads safetensors files without torch: what is in them, whether it is finite, and a hash of it. The format has no checksum."""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_HEADER_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 100_000_000  # the reference implementation refuses longer ones
_FLOATS: "dict[str, np.dtype[Any]]" = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_BF16_EXPONENT = 0x7F80  # all of these bits set: infinite or not a number
_HASHED_BYTES = 1 << 24


@dataclass(frozen=True)
class Tensor:
    """Where a tensor is: its file, and the bytes from `start` to `end`. `dtype` in the format's words, such as BF16."""

    name: str
    dtype: str
    shape: Sequence[int]
    file: Path
    start: int
    end: int


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors by name. Raises OSError, or ValueError when the file is no safetensors."""
    with file.open("rb") as opened:
        head = opened.read(_HEADER_LENGTH.size)
        if len(head) < _HEADER_LENGTH.size:
            raise ValueError("it is too short")
        (length,) = _HEADER_LENGTH.unpack(head)
        if length > min(_MAX_HEADER_BYTES, file.stat().st_size):
            raise ValueError("its header is broken")
        header = json.loads(opened.read(length))
    data = _HEADER_LENGTH.size + length
    try:
        return {name: _tensor(name, entry, file, data) for name, entry in header.items() if name != "__metadata__"}
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError("its header is broken") from err


def is_finite(tensor: Tensor) -> bool:
    """Whether every value is a finite float. Raises ValueError for a type that holds no floats."""
    if tensor.dtype == "BF16":
        return bool(((_values(tensor, np.dtype("<u2")) & _BF16_EXPONENT) != _BF16_EXPONENT).all())
    if tensor.dtype not in _FLOATS:
        raise ValueError(f"{tensor.name} holds no floats but {tensor.dtype}")
    return bool(np.isfinite(_values(tensor, _FLOATS[tensor.dtype])).all())


def sha256_of(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and values in the order of names: the same whoever wrote the files, and in how many."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, tensor.dtype, list(tensor.shape)]).encode())
        with tensor.file.open("rb") as file:
            file.seek(tensor.start)
            left = tensor.end - tensor.start
            while left and (block := file.read(min(left, _HASHED_BYTES))):
                digest.update(block)
                left -= len(block)
    return digest.hexdigest()


def _values(tensor: Tensor, dtype: "np.dtype[Any]") -> "np.ndarray[Any, np.dtype[Any]]":
    with tensor.file.open("rb") as file:
        file.seek(tensor.start)
        return np.frombuffer(file.read(tensor.end - tensor.start), dtype)


def _tensor(name: str, entry: Mapping[str, object], file: Path, data: int) -> Tensor:
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise TypeError
    start, end = data + int(offsets[0]), data + int(offsets[1])
    if not data <= start <= end <= file.stat().st_size:
        raise ValueError(f"{name} is cut off")
    return Tensor(name, str(entry["dtype"]), [int(size) for size in shape], file, start, end)
