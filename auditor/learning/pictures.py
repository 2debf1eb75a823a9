"""One image file to one grey picture, whatever it was stored as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from auditor.errors import DataError

_LARGEST_PIXELS = 64_000_000


def read_grey(path: Path, size: int, where: str) -> NDArray[np.float32]:
    """Grey picture in [0, 1], float32 (size, size).

    Args:
        path: PNG, JPEG or DICOM (``.dcm``).
        where: manifest and row, for the error.

    Raises:
        DataError: missing, undecodable or too large.
    """
    try:
        picture = _dicom(path) if path.suffix.lower() == ".dcm" else _raster(path)
        if picture.width * picture.height > _LARGEST_PIXELS:
            raise DataError(f"{where}: {path.name} has more than {_LARGEST_PIXELS} pixels")
        small = picture.resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: can't decode {path.name}: {type(error).__name__}") from None
    return np.array(small, dtype=np.float32)


def _raster(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        depth = 65535.0 if picture.mode.startswith("I") else 255.0
        grey = picture if picture.mode.startswith(("I", "F")) else picture.convert("L")
        return Image.fromarray(np.asarray(grey, dtype=np.float32) / depth)


def _dicom(path: Path) -> Image.Image:
    """First frame, windowed; MONOCHROME1 is turned so that bone is bright (PS3.3 C.7.6.3.1.2)."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    try:
        data = dcmread(path)
        values = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    except (InvalidDicomError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise ValueError("not a readable DICOM image") from error
    picture = np.asarray(values, dtype=np.float32)
    span = float(picture.max() - picture.min())
    picture = (picture - picture.min()) / (span or 1.0)
    if data.PhotometricInterpretation == "MONOCHROME1":
        picture = 1.0 - picture
    return Image.fromarray(picture)
