"""The image of a powder from raw files: formats, darks, masks, marks, orientation."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from midas.archive import BRIGHT, DARK, DATA, FLOOD, MASK, ArchiveWriter
from midas.calibration.powder.image import PowderImage
from midas.experiment.image import PaddedImage
from midas.parameters import Parameters
from midas.pipeline.powder_images import numbered_files, read_image
from midas.runtime.errors import FormatError, MidasError

RAW = np.arange(12, dtype=np.uint16).reshape(3, 4) + 100


def read(path: Path, text: str = "") -> PowderImage:
    return read_image(path, Parameters.parse(text, "ps.txt", "calibration").for_stage("calibrate"), path.parent)


def written(folder: Path, name: str = "a.tif", image: np.ndarray = RAW) -> Path:
    tifffile.imwrite(folder / name, image, photometric="minisblack")
    return folder / name


def test_padded_to_a_square_whose_padding_is_masked(tmp_path: Path) -> None:
    image = read(written(tmp_path))
    assert image.counts.shape == (4, 4) and image.shape == (3, 4) and image.frames == 1
    assert np.array_equal(image.counts[:3], RAW) and image.masked[3].all() and not image.masked[:3].any()
    assert np.isinf(image.full_scale)


@pytest.mark.parametrize("operations", [(1,), (2,), (3,), (2, 3), (1, 2, 3)])
def test_orientation_is_that_of_the_analysis(tmp_path: Path, operations: tuple[int, ...]) -> None:
    image = read(written(tmp_path), f"ImTransOpt {' '.join(map(str, operations))}\n")
    square = PaddedImage(3, 4, operations)
    for row, column in np.ndindex(RAW.shape):
        y, z = square.from_raw(column, row)
        assert image.counts[int(z), int(y)] == RAW[row, column] and not image.masked[int(z), int(y)]
    assert np.count_nonzero(image.masked) == 4
    assert image.counts.flags.c_contiguous and image.masked.flags.c_contiguous  # the kernels take nothing else


def test_the_farthest_corner_is_one_of_the_detector_however_it_is_turned(tmp_path: Path) -> None:
    """Not of the padding: the flip of the rows of 3 x 4 pixels leaves row 0 of the square empty."""
    for text, corner in (("", (3.5, 2.5)), ("ImTransOpt 2\n", (3.5, 3.5)), ("ImTransOpt 3\n", (2.5, 3.5))):
        image = read(written(tmp_path), text)
        assert image.farthest(-100.0, -100.0) == pytest.approx(np.hypot(corner[0] + 100, corner[1] + 100))
    image = read(written(tmp_path), "ImTransOpt 2\n")
    assert image.farthest(-0.5, 100.0) == pytest.approx(np.hypot(4.0, 99.5))


def test_a_sparse_frame_cache(tmp_path: Path) -> None:
    content = {"shape": (3, 4), "nframes": 1, "dtype": np.bytes_("uint16")}
    rows, columns = np.nonzero(RAW > 103)
    content |= {"0_row": rows, "0_col": columns, "0_data": RAW[rows, columns]}
    np.savez(tmp_path / "a.npz", **content)
    assert np.array_equal(read(tmp_path / "a.npz").counts[:3], np.where(RAW > 103, RAW, 0))


def test_frames_are_summed_without_their_dark_and_the_skipped_ones(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exchange/data"] = np.stack([RAW * 0 + 7, RAW, RAW + 1])
        file["exchange/dark"] = np.stack([RAW * 0, RAW * 0 + 10, RAW * 0 + 20])
        file["other/data"] = RAW[np.newaxis]
    image = read(tmp_path / "a.h5", "SkipFrame 1\n")
    assert image.frames == 2
    assert np.array_equal(image.counts[:3], 2.0 * RAW + 1 - 2 * 15)
    assert np.array_equal(read(tmp_path / "a.h5", "dataDataset other/data\ndarkDataset none\n").counts[:3], RAW)


@pytest.mark.parametrize(("number", "kind"), [(1, "<u2"), (2, "<f8"), (3, "<f4"), (4, "<u4"), (5, "<i4")])
def test_raw_images_by_their_type(tmp_path: Path, number: int, kind: str) -> None:
    (tmp_path / "a.ge3").write_bytes(b"\0" * 16 + RAW.astype(kind).tobytes())
    text = f"DataType {number}\nHeadSize 16\nNrPixelsY 4\nNrPixelsZ 3\n"
    assert np.array_equal(read(tmp_path / "a.ge3", text).counts[:3], RAW)


def test_every_value_but_0_of_a_mask_is_masked(tmp_path: Path) -> None:
    masks = {"MaskFile": (0, 0, 1), "GapFile": (1, 1, 7), "BadPxFile": (2, 2, -1)}
    for key, (row, column, value) in masks.items():
        mask = np.zeros((3, 4), np.int16)
        mask[row, column] = value
        written(tmp_path, f"{key}.tif", mask)
    text = "".join(f"{key} {key}.tif\n" for key in masks)
    found = read(written(tmp_path), text).masked[:3]
    assert sorted(zip(*map(list, np.nonzero(found)), strict=True)) == [(0, 0), (1, 1), (2, 2)]


def test_marks_count_in_image_and_dark_and_only_those_given(tmp_path: Path) -> None:
    dark = np.zeros((3, 4), np.uint16)
    dark[2, 3] = 9
    written(tmp_path, "dark.tif", dark)
    image = RAW.copy()
    image[0, 0], image[1, 2] = 65535, 0
    path = written(tmp_path, "a.tif", image)
    found = read(path, "Dark dark.tif\nBadPxIntensity 9\n")
    assert np.argwhere(found.masked[:3]).tolist() == [[2, 3]]
    found = read(path, "GapIntensity 65535\nBadPxIntensity 0\n")
    assert np.argwhere(found.masked[:3]).tolist() == [[0, 0], [1, 2]]


def test_values_that_no_counter_has(tmp_path: Path) -> None:
    """Below 0 in whole numbers, the end of a wide type, and what is no number."""
    image = RAW.astype(np.int32)
    image[0, 0], image[1, 1], image[2, 2] = -1, -2, 2**31 - 1
    assert np.argwhere(read(written(tmp_path, "a.tif", image)).masked[:3]).tolist() == [[0, 0], [1, 1], [2, 2]]
    floats = RAW.astype(np.float32)
    floats[0, 0], floats[1, 1] = np.nan, -3.0
    found = read(written(tmp_path, "b.tif", floats))
    assert np.argwhere(found.masked[:3]).tolist() == [[0, 0]] and found.counts[1, 1] == -3


def test_saturated_pixels_are_beyond_the_full_scale(tmp_path: Path) -> None:
    image = RAW.copy()
    image[1, 1] = 16383  # 14 bits
    found = read(written(tmp_path, "a.tif", image))
    assert np.argwhere(found.counts > found.full_scale).tolist() == [[1, 1]]
    found = read(written(tmp_path, "a.tif", image), "UpperBoundThreshold 109\n")
    assert np.argwhere(found.counts > found.full_scale).tolist() == [[1, 1], [2, 2], [2, 3]]
    frames = np.stack([image, RAW])
    found = read(written(tmp_path, "b.tif", frames))
    assert found.frames == 2 and np.argwhere(found.counts > found.full_scale).tolist() == [[1, 1]]


def test_flood_divides(tmp_path: Path) -> None:
    flood = np.full((3, 4), 2.0, np.float32)
    flood[0, 1] = 0
    written(tmp_path, "flood.tif", flood)
    found = read(written(tmp_path), "FloodFN flood.tif\n")
    assert found.masked[0, 1] and found.counts[1, 1] == RAW[1, 1] / 2


def test_files_of_a_series(tmp_path: Path) -> None:
    text = "FileStem CeO2\nPadding 4\nExt .tif\nStartNr 9\nEndNr 11\nFolder raw\n"
    p = Parameters.parse(text, "ps.txt", "calibration").for_stage("calibrate")
    assert [path.name for path in numbered_files(p, tmp_path)] == ["CeO2_0009.tif", "CeO2_0010.tif", "CeO2_0011.tif"]
    assert numbered_files(p, tmp_path)[0].parent == tmp_path / "raw"
    assert len(numbered_files(p.without("EndNr"), tmp_path)) == 1
    with pytest.raises(MidasError, match="EndNr: 3: must not be smaller than StartNr, 9"):
        numbered_files(p.changed(EndNr=3), tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NrPixelsY 3\nNrPixelsZ 4\n", r"image 3 x 4 \(rows x columns\), NrPixelsZ/Y say 4 x 3: swapped\?"),
        ("NrPixels 5\n", r"image 3 x 4 \(rows x columns\), NrPixelsZ/Y say 5 x 5"),
        ("MaskFN all.tif\n", r"all.tif: MaskFN: masks 75 % of the pixels; is 1 = masked\?"),
        ("MaskFN wide.tif\n", r"wide.tif: MaskFN: has \(3, 5\) pixels, the frames have \(3, 4\)"),
        ("Dark none.tif\n", "none.tif: is missing"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, text: str, said: str) -> None:
    mask = np.ones((3, 4), np.uint8)
    mask[0, :3] = 0
    written(tmp_path, "all.tif", mask)
    written(tmp_path, "wide.tif", np.zeros((3, 5), np.uint8))
    with pytest.raises(FormatError, match=said):
        read(written(tmp_path), text)


def test_an_archive_with_its_dark_mask_and_flood(tmp_path: Path) -> None:
    path = tmp_path / "a.MIDAS.zip"
    mask, flood = np.zeros((1, 3, 4), np.uint16), np.full((1, 3, 4), 2.0)
    mask[0, 1, 2] = 1
    with ArchiveWriter(path, (2, 3, 4), RAW.dtype, threads=1) as writer:
        writer.add_frames(DARK, (1, 3, 4), iter([RAW * 0 + 10]))
        writer.add_copy(DARK, BRIGHT)
        writer.add_frames(DATA, (2, 3, 4), iter([RAW, RAW + 1]))
        writer.add_dataset(MASK, mask)
        writer.add_dataset(FLOOD, flood)
        writer.add_parameters(Parameters.parse("px 200\nOmegaStep 1\n"))
    found = read(path)
    assert found.frames == 2 and np.argwhere(found.masked[:3]).tolist() == [[1, 2]]
    expected = (2.0 * RAW + 1 - 2 * 10) / 2
    assert np.array_equal(found.counts[:3][mask[0] == 0], expected[mask[0] == 0])
