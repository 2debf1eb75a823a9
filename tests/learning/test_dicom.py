"""DICOM pictures are read as they are meant to be seen, or refused; identifiers leave no trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from auditor.errors import DataError
from auditor.learning.dicom import read_dicom, read_uids
from auditor.learning.pictures import read_grey
from tests.learning.dicoms import INSTANCE, SERIES, STUDY, dataset, written

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
NAME = "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm"
SIDE = 32
RAMP = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 4  # 0 to 4092, 12 bits


def read(path: Path) -> NDArray[np.float32]:
    return read_dicom(path, "manifest row 7")


def unit(values: NDArray[Any]) -> NDArray[np.float64]:
    grey = values.astype(np.float64)
    return (grey - grey.min()) / np.ptp(grey)


def smooth() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    return (120 + 60 * np.sin(x / 7) + 60 * np.cos(y / 9)).astype(np.uint8)


@pytest.mark.parametrize(
    ("syntax", "signed"),
    [
        (ExplicitVRLittleEndian, False),
        (ExplicitVRLittleEndian, True),
        (RLELossless, False),
        (RLELossless, True),
        (JPEGLSLossless, False),  # its encoder takes no signed values
    ],
)
def test_what_is_lossless_gives_every_value(tmp_path: Path, syntax: UID, signed: bool) -> None:
    pixels = (RAMP.astype(np.int32) - 2048).astype(np.int16) if signed else RAMP
    path = written(tmp_path / "a.dcm", dataset(pixels, 12), syntax)
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert np.allclose(read(path), unit(pixels), atol=1e-6)


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1, JPEG2000Lossless])
def test_lossless_jpegs_give_every_value(tmp_path: Path, syntax: UID) -> None:
    bits = 16 if syntax == JPEG2000Lossless else 12
    path = written(tmp_path / "a.dcm", dataset(RAMP, bits), syntax)
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert np.allclose(read(path), unit(RAMP), atol=1e-6)


def test_an_extended_jpeg_is_read_at_8_bits_and_refused_at_12(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", dataset(smooth(), 8), JPEGBaseline8Bit)
    made = dcmread(path)
    made.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    made.save_as(path)
    assert np.abs(read(path) - unit(smooth())).max() < 0.03
    twelve = dataset(smooth().astype(np.uint16) * 16, 12)
    with pytest.raises(DataError, match="without loss"):
        read(written(tmp_path / "b.dcm", twelve, JPEGExtended12Bit))


def test_a_baseline_jpeg_is_nearly_what_went_in(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", dataset(smooth(), 8), JPEGBaseline8Bit)
    assert np.abs(read(path) - unit(smooth())).max() < 0.03


@pytest.mark.parametrize("window", [False, True])
def test_monochrome1_is_turned_over_after_the_window(tmp_path: Path, window: bool) -> None:
    more = {"WindowCenter": 1000, "WindowWidth": 800} if window else {}
    usual = read(written(tmp_path / "a.dcm", dataset(RAMP, 12, **more)))
    turned = dataset(RAMP, 12, PhotometricInterpretation="MONOCHROME1", **more)
    assert np.allclose(read(written(tmp_path / "b.dcm", turned)), 1 - usual, atol=1e-6)
    assert usual[0, 0] == 0 and usual[-1, -1] == 1


def windowed(values: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    """The linear function of PS3.3 C.11.2.1.2.1, over [0, 1]."""
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"WindowCenter": 1000, "WindowWidth": 800}, windowed(RAMP, 1000, 800)),
        ({"WindowCenter": [1000, 50], "WindowWidth": [800, 5]}, windowed(RAMP, 1000, 800)),
        (
            {
                "RescaleSlope": 2,
                "RescaleIntercept": -1024,
                "WindowCenter": 40,
                "WindowWidth": 400,
            },
            windowed(2.0 * RAMP - 1024, 40, 400),
        ),
        (
            {"WindowCenter": 1000, "WindowWidth": 800, "VOILUTFunction": "LINEAR_EXACT"},
            np.clip((RAMP - 1000.0) / 800 + 0.5, 0, 1),
        ),
        ({"RescaleSlope": -1, "RescaleIntercept": 4095}, 1 - unit(RAMP)),
    ],
    ids=["window", "first of two", "rescaled", "exact", "negative slope"],
)
def test_rescaling_and_windows_are_those_of_the_standard(
    tmp_path: Path, more: dict[str, Any], expected: NDArray[np.float64]
) -> None:
    assert np.allclose(
        read(written(tmp_path / "a.dcm", dataset(RAMP, 12, **more))), expected, atol=1e-6
    )


def test_a_sigmoid_window_keeps_the_order_and_bends(tmp_path: Path) -> None:
    more = {"WindowCenter": 2000, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"}
    shown = read(written(tmp_path / "a.dcm", dataset(RAMP, 12, **more)))
    expected = 1 / (1 + np.exp(-4 * (RAMP.astype(float) - 2000) / 800))
    assert np.allclose(shown, unit(expected), atol=1e-6)


def test_a_table_of_values_is_looked_up_and_comes_before_a_window(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [4096, 0, 16]
    table.LUTData = [65535 - 15 * value for value in range(4096)]
    made = dataset(RAMP, 12, WindowCenter=9, WindowWidth=3, VOILUTSequence=Sequence([table]))
    made.VOILUTSequence[0]["LUTDescriptor"].VR = "US"
    made.VOILUTSequence[0]["LUTData"].VR = "US"
    assert np.allclose(read(written(tmp_path / "a.dcm", made)), 1 - unit(RAMP), atol=1e-6)


def test_bits_above_the_stored_ones_are_no_part_of_the_picture(tmp_path: Path) -> None:
    overlaid = RAMP | (np.uint16(1) << np.uint16(15))
    overlaid[::2] = RAMP[::2]
    assert np.allclose(
        read(written(tmp_path / "a.dcm", dataset(overlaid, 12))), unit(RAMP), atol=1e-6
    )


@pytest.mark.parametrize("meaning", ["MONOCHROME1", "MONOCHROME2"])
def test_what_is_padded_is_black_and_no_measure_of_the_rest(tmp_path: Path, meaning: str) -> None:
    pixels = RAMP // 4 + 1000
    pixels[:, :4] = 0
    pixels[:, 4:6] = 3
    made = dataset(pixels.astype(np.uint16), 12, PhotometricInterpretation=meaning)
    made.add_new("PixelPaddingValue", "US", 0)
    made.add_new("PixelPaddingRangeLimit", "US", 5)
    shown = read(written(tmp_path / "a.dcm", made))
    assert np.all(shown[:, :6] == 0)
    body = unit(pixels[:, 6:])
    assert np.allclose(shown[:, 6:], body if meaning == "MONOCHROME2" else 1 - body, atol=1e-6)


def frames(made: Dataset) -> None:
    made.NumberOfFrames = 2
    made.PixelData = made.PixelData * 2


def coloured(made: Dataset) -> None:
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0


def palette(made: Dataset) -> None:
    made.PhotometricInterpretation = "PALETTE COLOR"


def oversized(made: Dataset) -> None:
    made.Rows = made.Columns = 65535


def shorter(made: Dataset) -> None:
    made.PixelData = made.PixelData[: len(made.PixelData) // 2]


def pixelless(made: Dataset) -> None:
    del made.PixelData


def elsewhere(made: Dataset) -> None:
    made.HighBit = 15


def too_narrow(made: Dataset) -> None:
    made.WindowCenter, made.WindowWidth = 5, 0


def no_number(made: Dataset) -> None:
    made.RescaleSlope, made.RescaleIntercept = 1e308, 1e308


def all_padded(made: Dataset) -> None:
    made.add_new("PixelPaddingValue", "US", 0)
    made.add_new("PixelPaddingRangeLimit", "US", 65535)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (frames, "several frames"),
        (coloured, "colour"),
        (palette, "colour"),
        (oversized, "more than 64000000 pixels"),
        (shorter, "no DICOM picture"),
        (pixelless, "no DICOM picture"),
        (elsewhere, "bits lie elsewhere"),
        (too_narrow, "no DICOM picture"),
        (no_number, "have no number"),
        (all_padded, "is empty"),
    ],
)
def test_what_could_mean_something_else_is_refused_by_row_and_by_no_name(
    tmp_path: Path, spoil: Callable[[Dataset], None], why: str
) -> None:
    made = dataset(RAMP, 12)
    spoil(made)
    path = written(tmp_path / f"{INSTANCE}.dcm", made)
    with pytest.raises(DataError, match=why) as refused:
        read_grey(path, 16, "manifest row 7")
    assert "row 7" in str(refused.value)
    assert not any(told in str(refused.value) for told in (INSTANCE, STUDY, "Roe", path.name))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGBaseline8Bit])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, syntax: UID, share: float) -> None:
    path = written(tmp_path / "a.dcm", dataset(smooth(), 8), syntax)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="row 7"):
        read_grey(path, 16, "manifest row 7")


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 128 + b"DICM", b"\0" * 400])
def test_what_is_no_dicom_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.dcm").write_bytes(content)
    with pytest.raises(DataError, match="row 9"):
        read_grey(tmp_path / "bad.dcm", 32, "row 9")
    with pytest.raises(DataError, match="row 9"):
        read_uids(tmp_path / "bad.dcm", "row 9")


def test_a_decoder_that_is_not_there_is_named_by_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels.decoders.base import get_decoder

    path = written(tmp_path / "a.dcm", dataset(RAMP, 12), JPEGLosslessSV1)
    monkeypatch.delitem(get_decoder(JPEGLosslessSV1)._available, "gdcm")
    with pytest.raises(DataError, match=r"auditor\[dicom\]"):
        read(path)


def test_nothing_of_a_damaged_file_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "a.dcm", dataset(smooth(), 8), JPEGBaseline8Bit)
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))
    with pytest.raises(DataError):
        read(path)
    assert caplog.records == []


def test_nothing_is_inflated(tmp_path: Path) -> None:
    made = dataset(RAMP, 12)
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    for reading in (read_dicom, read_uids):
        with pytest.raises(DataError, match="export it anew"):
            reading(tmp_path / "a.dcm", "row 7")


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path / "a.dcm", dataset(RAMP, 12))
    with path.open("r+b") as file:
        file.truncate(2**29 + 1)  # sparse
    with pytest.raises(DataError, match="MiB"):
        read(path)


def test_a_file_is_known_by_what_it_says_not_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "IM000001", dataset(RAMP, 12))
    assert read_grey(path, 16, "row 1").shape == (16, 16)


def test_identifiers_are_read_without_the_picture(tmp_path: Path) -> None:
    made = dataset(RAMP, 12)
    shorter(made)
    uids = read_uids(written(tmp_path / "a.dcm", made), "row 1")
    assert (uids.study, uids.series, uids.instance) == (STUDY, SERIES, INSTANCE)


def test_what_a_file_lacks_is_empty(tmp_path: Path) -> None:
    made = dataset(RAMP, 12)
    del made.StudyInstanceUID
    uids = read_uids(written(tmp_path / "a.dcm", made), "row 1")
    assert (uids.study, uids.series) == ("", SERIES)


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/dicom beside the project")
def test_a_real_chest_x_ray_is_read_the_same_whichever_value_is_white() -> None:
    usual, turned = (read(REAL / name) for name in (NAME, "Fake_MONOHR1.dcm"))
    assert usual.shape == (1024, 1024)
    assert dcmread(REAL / "Fake_MONOHR1.dcm").PhotometricInterpretation == "MONOCHROME1"
    assert usual.min() == 0 and usual.max() == 1
    small = read_grey(REAL / NAME, 64, "row 1")
    lungs, spine = small[20:40, 12:22].mean(), small[20:40, 29:35].mean()
    assert spine > lungs + 0.1  # bright where the body absorbs
    assert read_uids(REAL / NAME, "row 1").instance == NAME.removesuffix(".dcm")
    assert np.allclose(usual + turned, 1, atol=1e-6)  # the same values, said to mean the reverse
