"""CBF images of photon counters, and the pixels that these mark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from midas.runtime.errors import FormatError

from .raw_files import BASE, SUFFIXES, all_of, cbf, edf, only_the_raw_files, pixels, tiff


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4".split())
def test_cbf_of_every_type(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    frames = pixels(dtype=dtype, high=100)
    frames[:, 3, 4] = np.iinfo(dtype).max // 2  # a step that a byte does not hold
    paths = [cbf(tmp_path / f"scan_{i}.cbf{suffix}", frame) for i, frame in enumerate(frames)]
    with convert(data_file=str(paths[0]), files_per_scan=4) as archive:
        assert archive.frames.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        assert archive.mask is None
    only_the_raw_files(tmp_path, *paths)


def test_marked_pixels_are_masked(convert, tmp_path: Path, caplog) -> None:
    """Gaps and bad pixels in every frame; what is marked in one frame only was saturated there."""
    caplog.set_level("INFO")
    frames = pixels((3, 12, 10), dtype="i4")
    frames[:, 5, :] = -1
    frames[:, 2, 3] = -2
    frames[1, 0, 0] = -1
    for i, frame in enumerate(frames):
        cbf(tmp_path / f"scan_{i}.cbf", frame)
    expected = np.zeros((12, 10), bool)
    expected[5] = expected[2, 3] = True
    with convert(data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(archive.mask[0] != 0, expected)
    assert "11 pixels are masked that the detector marks as gap or bad" in caplog.text
    mask = np.zeros((12, 10), "u1")
    mask[0, 0] = 1
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    with convert(f"{BASE}\nMaskFN mask.tif", data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(archive.mask[0] != 0, expected | (mask != 0))
    unsigned = np.where(frames < 0, 2**32 + frames.astype("i8"), frames).astype("u4")
    for i, frame in enumerate(unsigned):
        cbf(tmp_path / f"scan_{i}.cbf", frame)
    with convert(data_file=str(tmp_path / "scan_*.cbf")) as archive:
        np.testing.assert_array_equal(archive.mask[0] != 0, expected)


def test_marked_pixels_of_other_formats(convert, tmp_path: Path) -> None:
    """TIFF and EDF of a photon counter; not of any other detector, where -1 is a number."""
    frame = pixels((12, 10), dtype="i4")
    frame[7] = -1
    tiff(tmp_path / "a.tif", frame, description="# Detector: PILATUS 300K, S/N 3-0102", metadata=None)
    edf(tmp_path / "a.edf", frame[np.newaxis], [{"Detector": "Pilatus3 X CdTe 2M"}])
    tiff(tmp_path / "b.tif", frame)
    edf(tmp_path / "b.edf", frame[np.newaxis])
    for name in ("a.tif", "a.edf"):
        with convert(data_file=str(tmp_path / name)) as archive:
            np.testing.assert_array_equal(archive.mask[0] != 0, frame < 0)
    for name in ("b.tif", "b.edf"):
        with convert(data_file=str(tmp_path / name)) as archive:
            assert archive.mask is None


def test_cbf_that_are_none(convert, tmp_path: Path, caplog) -> None:
    path = cbf(tmp_path / "scan.cbf", pixels((12, 10), dtype="i4"))
    whole = path.read_bytes()
    start = whole.index(b"\x0c\x1a\x04\xd5")
    for content, reason in (
        (whole[: start + 20], "ends after 16 of [0-9]+ bytes of its image; is it complete"),
        (whole[: start + 20] + bytes(10) + whole[start + 30 :], "the checksum of its image is wrong"),
        (whole.replace(b"x-CBF_BYTE_OFFSET", b"x-CBF_PACKED     "), "is compressed by x-CBF_PACKED"),
        (
            whole.replace(b"signed 32-bit integer", b"signed 32-bit complex"),
            "no type of pixels: 'signed 32-bit complex'",
        ),
        (whole.replace(b"Fastest-Dimension: 10", b"Fastest-Dimension: 11"), "pixels instead of 132|cannot be read"),
        (whole.replace(b"Fastest-Dimension: 10", b"Fastest-Dimension: xx"), "cannot be read as CBF"),
        (whole.replace(b"\x0c\x1a\x04\xd5", b"\x0c\x1a\x04\xd6"), "is no CBF image"),
        (b"###CBF: VERSION 1.5", "is no CBF image"),
        (b"", "is no CBF image"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as caught:
            convert(data_file=str(path))
        assert caught.value.file == str(path) and "\n" not in str(caught.value)
        assert not list((tmp_path / "out").glob("*"))
    assert "fabio" not in {record.name.split(".")[0] for record in caplog.records}


def test_an_angle_that_is_no_number(convert, tmp_path: Path) -> None:
    path = cbf(tmp_path / "scan.cbf", pixels((12, 10), dtype="i4"), "Start_angle ?? deg.")
    with pytest.raises(FormatError, match=r"scan\.cbf: start_angle: is no number: '\?\? deg\.'; name another motor"):
        convert(data_file=str(path))
    with convert(f"{BASE}\nOmegaMotor none", data_file=str(path)) as archive:
        assert archive.omegas.tolist() == [10]
