"""Arrays as one file of bytes: a NumPy archive without pickles, read from a stranger with care."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.errors import EvidenceError

LARGEST = 1 << 30  # bytes, packed or not

Arrays = Mapping[str, NDArray[np.generic]]


def pack(arrays: Arrays) -> bytes:
    """An archive whose bytes hang on its content alone."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)
    return file.getvalue()


def unpack(data: bytes) -> dict[str, NDArray[np.generic]]:
    """What `pack` was given.

    Raises:
        EvidenceError: not such an archive, a damaged one, or larger than any.
    """
    if len(data) > LARGEST:
        raise EvidenceError(f"the bundle is larger than {LARGEST} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > LARGEST:
                raise EvidenceError(f"the bundle holds more than {LARGEST} bytes")
            return {
                info.filename.removesuffix(".npy"): _read(archive, info)
                for info in archive.infolist()
            }
    except EvidenceError:
        raise
    except Exception:  # a stranger's bytes: zip, its packers and numpy raise what they like
        raise EvidenceError("not an evidence bundle, or a damaged one") from None


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(info) as member:
        content = io.BytesIO(member.read(info.file_size))
    found: NDArray[np.generic] = np.lib.format.read_array(content, allow_pickle=False)
    return found
