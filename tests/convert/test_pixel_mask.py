"""``ff-mask``, ``generate_mask.py``: docs/theory/archive.md#making-a-mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from midas.convert.mask import read_mask

from .raw_files import write_hdf5

Call = Callable[..., int]
SHAPE = (40, 30)


@pytest.mark.parametrize(("dtype", "gap"), [("i4", -1), ("u4", 2**32 - 1), ("f4", -1.0), ("i2", -1)])
def test_values_of_pixels(
    dtype: str, gap: float, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.full(SHAPE, 5, dtype)
    image[3:5], image[:, 7], image[10, 10] = 17, gap, 16
    tifffile.imwrite(tmp_path / "dark.tif", image)
    assert in_process("generate_mask.py", "dark.tif", gap, 17, 99, "-o", "mask.tif", cwd=tmp_path) == 0
    expected = (image == gap) | (image == 17)
    found = tifffile.imread(tmp_path / "mask.tif")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    said = capsys.readouterr().out
    assert f"Masked                     {expected.sum()} of 1200" in " ".join(said.split("\n")) or "Masked" in said
    assert "value 99" in said
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", SHAPE, np.dtype("u2"))[0], expected)


def test_default_name_and_options_before_values(tmp_path: Path, in_process: Call) -> None:
    image = np.arange(1200, dtype="u2").reshape(SHAPE)
    tifffile.imwrite(tmp_path / "dark_1.tif", image)
    assert in_process("generate_mask.py", "dark_1.tif", 7, cwd=tmp_path) == 0
    assert in_process("ff-mask", "dark_1.tif", "-o", "m.tif", 7, "8", cwd=tmp_path) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "dark_1_mask.tif"), image == 7)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "m.tif"), (image == 7) | (image == 8))


def test_hot_and_saturated_pixels_of_darks(tmp_path: Path, in_process: Call) -> None:
    """A level that rises over the detector is no fault, nor is one hit of a ray; a pixel that stands out is."""
    random = np.random.default_rng(1)
    frames = (500 + 2 * np.arange(40)[:, None] + random.normal(0, 4, (9, *SHAPE))).round().astype("u2")
    frames[:, 5, 6] += 200
    frames[:, 30, 20] += 90
    frames[4, 12, 12] = 9000  # a ray
    frames[2, 13, 13] = 65535
    write_hdf5(tmp_path / "d.h5", None, frames)
    line = ["d.h5", "--location", "exchange/dark", "-o", "m.tif"]

    def masked(*options: object) -> list[tuple[int, int]]:
        assert in_process("ff-mask", *line, *options, cwd=tmp_path) == 0
        return [tuple(place) for place in np.argwhere(tifffile.imread(tmp_path / "m.tif")).tolist()]

    assert masked("--hot", 15) == [(5, 6), (30, 20)]
    assert masked("--hot", 70) == [(5, 6)]
    assert masked("--saturated", 65535) == [(13, 13)]
    assert masked("--above", 700) == [(5, 6)]
    first = np.zeros(SHAPE, np.uint8)
    first[0, 0] = 255
    tifffile.imwrite(tmp_path / "first.tif", first)
    assert masked("--saturated", 9000, "--add", "first.tif") == [(0, 0), (12, 12), (13, 13)]


def test_a_dark_without_noise(tmp_path: Path, in_process: Call) -> None:
    """Where nothing scatters, one count is the measure."""
    frames = np.full((3, *SHAPE), 100, "u2")
    frames[:, 4, 4] = 120
    write_hdf5(tmp_path / "d.h5", frames)
    assert in_process("ff-mask", "d.h5", "--hot", 10, cwd=tmp_path) == 0
    assert np.argwhere(tifffile.imread(tmp_path / "d_mask.tif")).tolist() == [[4, 4]]


def test_pixels_that_are_no_numbers(tmp_path: Path, in_process: Call) -> None:
    frames = np.zeros((2, *SHAPE), "f4")
    frames[1, 2, 3] = np.nan
    write_hdf5(tmp_path / "d.h5", frames)
    assert in_process("ff-mask", "d.h5", 5, cwd=tmp_path) == 0
    assert np.argwhere(tifffile.imread(tmp_path / "d_mask.tif")).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ("d.h5", 2, "say what is bad"),
        ("d.h5 --hot 0", 2, "--hot: 0.0: must be greater than 0"),
        ("none.h5 1", 1, "none.h5: is missing"),
        ("d.h5 --add d.h5", 1, "is no TIFF image"),
        ("d.h5 one", 2, "invalid number value: 'one'"),
        ("d.h5 1 -o no/folder/m.tif", 1, "cannot be written"),
    ],
)
def test_mistakes(
    line: str, code: int, reason: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    write_hdf5(tmp_path / "d.h5", np.zeros((1, *SHAPE), "u2"))
    assert in_process("ff-mask", *line.split(), cwd=tmp_path) == code
    errors = capsys.readouterr().err
    assert reason in errors and errors.count("\n") == 1, errors
    assert [path.name for path in tmp_path.iterdir()] == ["d.h5"]
