"""Looking for scores in whatever leaves a home: as raw numbers, as texts, in lists."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pikepdf
from numpy.typing import NDArray

_NUMBER = re.compile(rb"-?\d+\.\d{7,}(?:e-?\d+)?")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{60,}={0,2}")
_DEEP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is looked for.

    Attributes:
        scores: all numbers that speak of one image, sorted.
        longest: numbers that may stand in one list, as many as there are models.
    """

    scores: NDArray[np.float64]
    longest: int


def known(arrays: Sequence[NDArray[np.float64]], *, longest: int) -> Known:
    """Look for these per-image scores; zeros and ones are everywhere and say nothing."""
    values = np.unique(np.concatenate([item.ravel() for item in arrays]))
    return Known(scores=values[np.abs(values - np.round(values)) > 1e-6], longest=longest)


def find_scores(content: bytes, looked: Known) -> list[str]:
    """Ways in which scores stand in a file; none where there are none."""
    return [found for piece in _pieces(content, _DEEP) for found in _find(piece, looked)]


def _find(piece: bytes, looked: Known) -> Iterator[str]:
    for text in _NUMBER.findall(piece):
        if _near(np.array([float(text)]), looked)[0]:
            yield f"the number {text.decode()}"
    for kind, adjacent in ((np.float64, 1), (np.float32, 2)):
        for start in range(np.dtype(kind).itemsize):
            rest = piece[start:]
            whole = len(rest) - len(rest) % np.dtype(kind).itemsize
            values = np.frombuffer(rest[:whole], dtype=kind)
            with np.errstate(all="ignore"):
                hits = _same(values, looked)
            if len(hits) >= adjacent and (hits if adjacent == 1 else hits[1:] & hits[:-1]).any():
                yield f"raw {np.dtype(kind).name}"
    try:
        longest = _longest(json.loads(piece))
    except ValueError:
        return
    if longest > looked.longest:
        yield f"a list of {longest} decimals"


def _near(values: NDArray[np.float64], looked: Known) -> NDArray[np.bool_]:
    places = np.searchsorted(looked.scores, values).clip(1, len(looked.scores) - 1)
    off = [np.abs(looked.scores[places - k] - values) for k in (0, 1)]
    return np.minimum(*off) < 1e-9


def _same(values: NDArray[Any], looked: Known) -> NDArray[np.bool_]:
    return np.isin(values, looked.scores.astype(values.dtype))


def _longest(value: object) -> int:
    """Length of the longest list of decimals, be they texts, in a JSON value."""
    if isinstance(value, dict):
        return max((_longest(item) for item in value.values()), default=0)
    if not isinstance(value, list):
        return 0
    own = len(value) if all(_is_number(item) for item in value) else 0
    return max([own, *(_longest(item) for item in value)])


def _is_number(value: object) -> bool:
    """Whether it has decimals; whole numbers count leaves and bytes."""
    if isinstance(value, float):
        return True
    try:
        return isinstance(value, str) and "." in value and float(value) is not None
    except ValueError:
        return False


def _pieces(content: bytes, deep: int) -> Iterator[bytes]:
    """The file itself, and all that is packed in it."""
    yield content
    if not deep:
        return
    inner: list[bytes] = []
    if content.startswith(b"%PDF"):
        with pikepdf.open(io.BytesIO(content)) as pdf:
            streams = [item for item in pdf.objects if isinstance(item, pikepdf.Stream)]
            inner += [_unfiltered(item) for item in streams]
    elif content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inner += [archive.read(name) for name in archive.namelist()]
    elif content.startswith(b"\x93NUMPY"):
        array = np.load(io.BytesIO(content), allow_pickle=False)
        inner += [array.tobytes()] if array.dtype == np.uint8 else []
    else:
        inner += [_decoded(text) for text in _BASE64.findall(content)]
    for piece in inner:
        yield from _pieces(piece, deep - 1)


def _unfiltered(stream: pikepdf.Stream) -> bytes:
    try:
        return stream.read_bytes()
    except pikepdf.PdfError:  # pictures under a filter of their own
        return stream.read_raw_bytes()


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
