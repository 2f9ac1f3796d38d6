"""``ff-dark``, ``GenMedianDark``: docs/theory/archive.md#median-dark."""

from __future__ import annotations

import bz2
import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
import tifffile

from midas.convert.median import median
from midas.convert.readers import open_source
from midas.convert.source import Reading

from .raw_files import pixels, write_hdf5

Call = Callable[..., int]


def lower_median(frames: np.ndarray) -> np.ndarray:
    return np.sort(frames, axis=0)[(len(frames) - 1) // 2]


@pytest.mark.parametrize("count", [1, 4, 5])
@pytest.mark.parametrize(
    ("dtype", "pixel", "written"),
    [(1, "<u2", "<u2"), (2, "<f8", "<f8"), (3, "<f4", "<f4"), (4, "<u4", "<f8"), (5, "<i4", "<f8")],
)
def test_raw_pixels(dtype: int, pixel: str, written: str, count: int, tmp_path: Path, in_process: Call) -> None:
    """Of an even number of frames the lower of the two middle values; the result without a header."""
    frames = (pixels((count, 12, 10), count) * (200 if pixel != "<u2" else 1)).astype(pixel) - (pixel == "<i4") * 30000
    frames = frames.astype(pixel)
    (tmp_path / "dark.any").write_bytes(bytes(100) + frames.tobytes())
    line = ["dark.any", "out.tif", dtype, 10, 12, "unused", 100, 2]
    assert in_process("GenMedianDark", *line, cwd=tmp_path) == 0
    found = np.fromfile(tmp_path / "out.tif", written)
    np.testing.assert_array_equal(found.reshape(12, 10), lower_median(frames))


def test_hdf5_as_the_legacy_program_writes_it(tmp_path: Path, in_process: Call) -> None:
    frames = pixels((5, 12, 10), dtype="<i4", high=70000)
    small = frames % 65536
    write_hdf5(tmp_path / "d.h5", small)
    with h5py.File(tmp_path / "d.h5", "a") as file:
        file["large"] = frames
        file["float"] = small.astype("f4") + 0.5
    out = tmp_path / "out"
    assert in_process("GenMedianDark", "d.h5", "out", 8, 10, 12, cwd=tmp_path) == 0
    np.testing.assert_array_equal(np.fromfile(out, "<u2").reshape(12, 10), lower_median(small))
    assert in_process("GenMedianDark", "d.h5", "out", 8, 10, 12, "exchange/data", 2, cwd=tmp_path) == 0
    np.testing.assert_array_equal(np.fromfile(out, "<u2").reshape(12, 10), lower_median(small[2:]))
    assert in_process("GenMedianDark", "d.h5", "out", 8, 10, 12, "float", cwd=tmp_path) == 0
    np.testing.assert_array_equal(np.fromfile(out, "<u2").reshape(12, 10), lower_median(small) + 1)
    assert in_process("GenMedianDark", "d.h5", "out", 8, 10, 12, "large", "--native", cwd=tmp_path) == 0
    np.testing.assert_array_equal(np.fromfile(out, "<i4").reshape(12, 10), lower_median(frames))
    out.unlink()
    assert in_process("GenMedianDark", "d.h5", "out", 8, 10, 12, "large", cwd=tmp_path) == 2
    assert not out.exists()


def test_the_name_of_the_output_says_what_it_is(tmp_path: Path, in_process: Call) -> None:
    frames = pixels((6, 12, 10))
    write_hdf5(tmp_path / "scan.h5", None, frames)
    expected = lower_median(frames[1:])
    for name in ("d.tif", "d.h5", "d.ge3", "d.bin"):
        line = ["scan.h5", name, "--location", "exchange/dark", "--skip", 1]
        assert in_process("ff-dark", *line, cwd=tmp_path) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "d.tif"), expected)
    with h5py.File(tmp_path / "d.h5") as file:
        np.testing.assert_array_equal(file["exchange/dark"], expected[None])
    assert (tmp_path / "d.ge3").read_bytes() == bytes(8192) + expected.tobytes()
    assert (tmp_path / "d.bin").read_bytes() == expected.tobytes()


def test_other_names_of_the_output(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """What the name promises must be in the file; with a dType the name promises nothing."""
    write_hdf5(tmp_path / "scan.h5", pixels((6, 12, 10)))
    for name in ("d.cbf", "d.edf", "d.tif.gz"):
        assert in_process("ff-dark", "scan.h5", name, cwd=tmp_path) == 2
        assert "cannot be written; it can be .tif .tiff .h5 .hdf5, .ge and .ge1 to .ge5" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]
    assert in_process("GenMedianDark", "scan.h5", "d.cbf", 8, 10, 12, cwd=tmp_path) == 0
    assert (tmp_path / "d.cbf").stat().st_size == 240


def test_parts_and_threads_do_not_matter(tmp_path: Path) -> None:
    frames = pixels((9, 40, 30))
    source = open_source(write_hdf5(tmp_path / "d.h5", frames), Reading())
    for memory in (1, 9 * 30 * 2 * 7, 1 << 30):
        for threads in (1, 3):
            found, count = median([source], threads=threads, memory=memory)
            assert count == 9
            np.testing.assert_array_equal(found, lower_median(frames))


def test_memory_is_bounded(tmp_path: Path) -> None:
    """100 frames of 128 KiB with a limit of 1 MiB."""
    frames = pixels((100, 256, 256))
    (tmp_path / "d.ge3").write_bytes(bytes(8192) + frames.tobytes())
    source = open_source(tmp_path / "d.ge3", Reading(rows=256, columns=256))
    tracemalloc.start()
    found, _ = median([source], threads=1, memory=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, lower_median(frames))
    assert peak < 5 << 20  # all of them are 12.5 MiB


@pytest.mark.parametrize("name", ["d.ge3.bz2", "d_*.tif", "folder", "pages.tif", "d.edf.gz"])
def test_any_raw_format(name: str, tmp_path: Path, in_process: Call) -> None:
    """Compressed, as a series, in a folder, as pages."""
    frames = pixels((5, 12, 10))
    if name.endswith(".bz2"):
        (tmp_path / name).write_bytes(bz2.compress(bytes(8192) + frames.tobytes()))
    elif name == "pages.tif":
        tifffile.imwrite(tmp_path / name, frames)
    elif name == "d.edf.gz":
        image = fabio.edfimage.EdfImage(data=frames[0])
        for frame in frames[1:]:
            image.append_frame(data=frame)
        image.write(tmp_path / "d.edf")
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / "d.edf").read_bytes()))
    else:
        folder = tmp_path / ("folder" if name == "folder" else "")
        folder.mkdir(exist_ok=True)
        for number, frame in enumerate(frames):
            tifffile.imwrite(folder / f"d_{number}.tif", frame)
    assert in_process("ff-dark", name, "out.bin", 9, 10, 12, cwd=tmp_path) == 0
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.bin", "<u2").reshape(12, 10), lower_median(frames))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("d.h5 out 7", "dType: 7: must be"),
        ("d.h5 out 0", "dType: 0: must be"),
        ("d.h5 out 8 10 13", "has frames of 12 x 10 pixels"),
        ("d.h5 out 8 10 12 exchange/none", "exchange/none: no dataset"),
        ("d.h5 out 8 10 12 exchange/data 5", "has 5 frames, of which 5 are to be skipped"),
        ("d.h5 out 8 10 12 exchange/data -1", "skipFrames: -1: must be at least 0"),
        ("d.raw out 1 10 12", "d.raw: has 250 bytes"),
        ("none.raw out 1 10 12", "none.raw: is missing"),
        ("d.raw out 1 0 12", "NrPixelsY: 0: must be at least 1"),
        ("d.h5 no/folder/out 8 10 12", "cannot be written"),
        ("d.h5 out", "dType"),
    ],
)
def test_mistakes(line: str, reason: str, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    write_hdf5(tmp_path / "d.h5", pixels((5, 12, 10)))
    (tmp_path / "d.raw").write_bytes(bytes(250))
    before = set(tmp_path.iterdir())
    assert in_process("GenMedianDark", *line.split(), cwd=tmp_path) in (1, 2)
    errors = capsys.readouterr().err
    assert reason in errors and errors.count("\n") == 1, errors
    assert set(tmp_path.iterdir()) == before
