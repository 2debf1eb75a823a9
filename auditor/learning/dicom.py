"""One DICOM file to one grey picture, or to the identifiers it carries (PS3.3, PS3.5, PS3.10).

Its header is looked at before anything is decoded, and what could mean several things is refused:
colour, several frames, bits that lie elsewhere than they should. Each transfer syntax has the one
decoder named here, so that the same file gives the same picture wherever the packages are the same.
Errors never hold a value out of the file, nor its name: both may be identifiers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import DataError
from auditor.given import open_given

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_PIXELS = 64_000_000
_LARGEST_FILE = 2**29  # bytes; the largest picture at 16 bits takes a quarter of it
_MAGIC = slice(128, 132)  # PS3.10 section 7.1
_TURNED = "MONOCHROME1"
_EXTENDED_JPEG = "1.2.840.10008.1.2.4.51"

# PS3.5 section 10 and annex A.4; a deflated file could hold anything once it is inflated
_DECODERS: Mapping[str, str] = {
    "1.2.840.10008.1.2": "",  # implicit little endian; uncompressed ones need no decoder
    "1.2.840.10008.1.2.1": "",  # explicit little endian
    "1.2.840.10008.1.2.2": "",  # explicit big endian
    "1.2.840.10008.1.2.5": "pydicom",  # RLE
    "1.2.840.10008.1.2.4.50": "pillow",  # JPEG baseline
    _EXTENDED_JPEG: "pillow",  # JPEG extended, of 8 bits only
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG lossless
    "1.2.840.10008.1.2.4.70": "gdcm",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "gdcm",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "gdcm",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pillow",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pillow",  # JPEG 2000
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Uids:
    """Instance UIDs of a picture's study, series and own (PS3.3 C.7.2.1, C.7.3.1, C.12.1)."""

    study: str
    series: str
    instance: str


def is_dicom(path: Path) -> bool:
    """Whether a file says that it is one; missing ones aren't."""
    try:
        with open_given(path) as file:
            return file.read(_MAGIC.stop)[_MAGIC] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path, where: str) -> NDArray[np.float32]:
    """The picture in [0, 1] as it is meant to be seen, bright where the body absorbs.

    Rescaled, windowed by its first window or its table (PS3.3 C.11.1, C.11.2), turned over where
    the lowest value is white, black where it is padded (C.7.5.1.1.2).

    Args:
        where: manifest and row, for the error.

    Raises:
        DataError: no DICOM picture, of several frames, in colour, too large, damaged, or stored in
            a way that can't be read here.
    """
    from pydicom import dcmread
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from pydicom.pixels.utils import pixel_array

    decoder = _decoder(path, where)
    with _reading(where):
        header = dcmread(path, stop_before_pixels=True)
        flaw = _flaw_of(header)
    if flaw:
        raise DataError(f"{where}: {flaw}")
    with _reading(where):
        data = dcmread(path)
        stored = pixel_array(data, decoding_plugin=decoder)
        shown = apply_voi_lut(apply_modality_lut(stored, data), data).astype(np.float64)
        padded = _padding(stored, data)
    body = shown[~padded]
    if not body.size or not np.isfinite(body).all():
        raise DataError(f"{where}: the picture is empty or its values have no number")
    picture: NDArray[np.float64] = (shown - body.min()) / (float(np.ptp(body)) or 1.0)
    if data.PhotometricInterpretation == _TURNED:
        picture = 1.0 - picture
    picture[padded] = 0.0
    return picture.astype(np.float32)


def read_uids(path: Path, where: str) -> Uids:
    """The identifiers of a picture; nothing of it is decoded. What the file lacks is "".

    Raises:
        DataError: not a DICOM file.
    """
    from pydicom import dcmread

    _decoder(path, where)
    tags = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    with _reading(where):
        header = dcmread(path, stop_before_pixels=True, specific_tags=tags)
        study, series, instance = (str(header.get(tag) or "") for tag in tags)
        return Uids(study=study, series=series, instance=instance)


def _decoder(path: Path, where: str) -> str:
    """Name of what decodes the file, by its own word on how it is stored."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    with _reading(where):
        too_large = path.stat().st_size > _LARGEST_FILE
        syntax = UID(read_file_meta_info(path).TransferSyntaxUID)
    if too_large:
        raise DataError(f"{where}: a file of more than {_LARGEST_FILE // 2**20} MiB isn't read")
    if syntax not in _DECODERS:
        raise DataError(f"{where}: it is stored in a way that isn't read here; export it anew")
    name = _DECODERS[syntax]
    if name and name not in get_decoder(syntax).available_plugins:
        raise DataError(f"{where}: {syntax.name} needs a decoder; pip install 'auditor[dicom]'")
    return name


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """On damaged input pydicom and its decoders warn of, log and raise what they stumble over."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)  # it would quote the file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # a stranger's bytes: each decoder raises what it likes
        raise DataError(f"{where}: no DICOM picture can be read: {type(error).__name__}") from None
    finally:
        logger.setLevel(level)


def _flaw_of(header: Dataset) -> str:
    """Why the picture isn't read, or ""."""
    stored, allocated = int(header.BitsStored), int(header.BitsAllocated)
    if int(header.get("NumberOfFrames") or 1) != 1:
        return "several frames in one file; give each picture a file of its own"
    if int(header.SamplesPerPixel) != 1 or header.PhotometricInterpretation not in (
        "MONOCHROME1",
        "MONOCHROME2",
    ):
        return "a picture in colour; only grey ones are read"
    if int(header.Rows) * int(header.Columns) > LARGEST_PIXELS:
        return f"more than {LARGEST_PIXELS} pixels"
    if header.file_meta.TransferSyntaxUID == _EXTENDED_JPEG and stored != 8:
        return "a lossy JPEG of 12 bits isn't read here; export it anew, without loss"
    if allocated not in (8, 16) or not 1 <= stored <= allocated or header.HighBit != stored - 1:
        return "its bits lie elsewhere than in the lowest of 8 or 16; export it anew"
    return ""


def _padding(stored: NDArray[np.integer[Any]], data: Dataset) -> NDArray[np.bool_]:
    first = data.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    last = data.get("PixelPaddingRangeLimit", first)
    ends = sorted((int(first), int(last)))
    padded: NDArray[np.bool_] = (stored >= ends[0]) & (stored <= ends[1])
    return padded
