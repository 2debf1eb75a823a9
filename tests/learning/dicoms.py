"""DICOM files as a modality would write them, to be read, or spoiled by tests of bad input."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

STUDY, SERIES, INSTANCE = (f"2.25.10{number}{'7' * 30}" for number in range(3))


def dataset(pixels: NDArray[Any], bits: int, **more: Any) -> Dataset:
    """A grey picture of so many bits; ``more`` are further elements, or other values of these."""
    made = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = INSTANCE
    made.SOPClassUID, made.SOPInstanceUID = ComputedRadiographyImageStorage, INSTANCE
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, SERIES
    made.PatientName = "Roe^Richard"
    made.Rows, made.Columns = pixels.shape[-2:]
    made.SamplesPerPixel = 1
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = pixels.tobytes()
    for name, value in more.items():
        setattr(made, name, value)
    return made


def written(path: Path, made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """The file, its pixels stored in that transfer syntax."""
    if syntax in (RLELossless, JPEGLSLossless):
        made.compress(syntax, encoding_plugin="", generate_instance_uid=False)
    elif syntax in (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1):
        made = _by_gdcm(made, syntax)
    elif syntax in (JPEGBaseline8Bit, JPEG2000Lossless):
        kind = {JPEGBaseline8Bit: "JPEG", JPEG2000Lossless: "JPEG2000"}[syntax]
        buffer = io.BytesIO()
        how = {"quality": 95} if kind == "JPEG" else {"irreversible": False, "no_jp2": True}
        Image.fromarray(made.pixel_array).save(buffer, kind, **how)
        made.PixelData = encapsulate([buffer.getvalue()])
        made["PixelData"].VR = "OB"
        made.file_meta.TransferSyntaxUID = syntax
    made.save_as(path, enforce_file_format=True)
    return path


def _by_gdcm(made: Dataset, syntax: UID) -> Dataset:
    import gdcm

    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "plain.dcm", Path(folder) / "packed.dcm"
        made.save_as(plain, enforce_file_format=True)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(packed))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        read = dcmread(packed)
        read.decode()
    return read
