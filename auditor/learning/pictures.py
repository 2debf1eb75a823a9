"""One image file to one grey picture, whatever it was stored as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.errors import DataError
from auditor.learning.dicom import LARGEST_PIXELS, is_dicom, read_dicom


def read_grey(path: Path, size: int, where: str) -> NDArray[np.float32]:
    """Grey picture in [0, 1], float32 (size, size).

    Args:
        path: PNG, JPEG or DICOM. Its name is in no error: it may be a patient's.
        where: manifest and row, for the error.

    Raises:
        DataError: missing, undecodable, too large, or one of several pictures in a file.
    """
    try:
        if path.suffix.lower() == ".dcm" or is_dicom(path):
            picture = Image.fromarray(read_dicom(path, where))
        else:
            picture = _raster(path, where)
        small = picture.resize((size, size), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except Exception as error:  # a stranger's bytes: each decoder raises what it likes
        raise DataError(f"{where}: can't decode the image: {type(error).__name__}") from None
    return np.array(small, dtype=np.float32)


def _raster(path: Path, where: str) -> Image.Image:
    with Image.open(path) as picture:
        if picture.width * picture.height > LARGEST_PIXELS:
            raise DataError(f"{where}: more than {LARGEST_PIXELS} pixels")
        if getattr(picture, "n_frames", 1) > 1:
            raise DataError(f"{where}: several pictures in one file; give each a file of its own")
        picture.load()
        depth = 65535.0 if picture.mode.startswith("I") else 255.0
        grey = picture if picture.mode.startswith(("I", "F")) else picture.convert("L")
        return Image.fromarray(np.asarray(grey, dtype=np.float32) / depth)
