"""Reading one IDX file, the format of MNIST, plain or gzip; nothing in its header is believed.

Two zero bytes, the dtype, the number of axes, each axis' length (4 bytes), then the numbers, all of
them big-endian.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PIECE = 2**24


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file; unpacked where the name ends in .gz.

    Raises ValueError, naming the file, where it is not IDX, its data are fewer or more bytes than
    its header says, or it cannot be unpacked.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _array(path, file.read)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error


def _array(path: Path, read: Callable[[int], bytes]) -> np.ndarray:
    magic = read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
        raise ValueError(f"{path}: expected an IDX file, got one that begins with {magic!r}")
    axes = magic[3]
    sides = read(4 * axes)
    if len(sides) < 4 * axes:
        raise ValueError(f"{path}: is cut off in its header")
    shape, dtype = struct.unpack(f">{axes}I", sides), np.dtype(_DTYPES[magic[2]])
    expected = math.prod(shape) * dtype.itemsize
    # Piece by piece, so that a header's lie costs no memory, and one byte too many is enough.
    content = bytearray()
    while piece := read(min(_PIECE, expected + 1 - len(content))):
        content += piece
    if len(content) != expected:
        what = "is cut off" if len(content) < expected else "goes on after its array"
        raise ValueError(
            f"{path}: {what}: shape {shape} of {dtype} is {expected} bytes, it has "
            f"{len(content) if len(content) < expected else 'more'}"
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
