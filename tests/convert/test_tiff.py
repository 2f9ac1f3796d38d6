"""TIFF files as the libraries of the field write them, pages and series of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from midas.convert.readers.tiff import TIFFFrames
from midas.convert.source import Reading
from midas.runtime.errors import FormatError, MidasError, UsageError

from .raw_files import BASE, SUFFIXES, all_of, cbf, only_the_raw_files, pixels, tiff


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4 f4 f8 >u2 >i2 >u4 >i4 >f4 >f8".split())
def test_pages_of_every_type(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    frames = pixels(dtype=dtype, high=100)
    if frames.dtype.kind in "if":
        frames[1] = -frames[1]
    order = ">" if dtype.startswith(">") else "<"
    path = tiff(tmp_path / f"scan.tif{suffix}", frames, byteorder=order, bigtiff=frames.dtype.itemsize == 4)
    with convert(data_file=str(path)) as archive:
        assert archive.frames.dtype == frames.dtype.newbyteorder("=")
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    only_the_raw_files(tmp_path, path)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzma"},
        {"compression": "packbits"},
        {"compression": "lzw"},
        {"compression": "zstd"},
        {"tile": (16, 16)},
        {"rowsperstrip": 5},
        {"imagej": True},
        {"contiguous": False, "metadata": None},
    ],
    ids=str,
)
def test_layouts_of_pages(convert, tmp_path: Path, options: dict) -> None:
    if options.get("compression") in ("lzw", "zstd", "packbits") or "predictor" in options:
        pytest.importorskip("imagecodecs", reason="tifffile needs imagecodecs for this compression")
    frames = pixels(dtype="u2")
    with convert(data_file=str(tiff(tmp_path / "scan.tiff", frames, **options))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_images_of_another_library(convert, tmp_path: Path) -> None:
    """Pillow writes through libtiff."""
    frames = pixels()
    images = [Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / "scan.tif", save_all=True, append_images=images[1:], compression="tiff_adobe_deflate")
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    Image.fromarray(frames[0].astype("f4")).save(tmp_path / "scan.tif")
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        assert archive.frames.dtype == np.float32
        np.testing.assert_array_equal(all_of(archive.frames), frames[:1])


def test_images_that_imagej_does_not_list(convert, tmp_path: Path) -> None:
    """Behind the only page of a large stack the others follow without pages of their own."""
    frames = pixels((7, 12, 10), dtype=">u2")
    tifffile.imwrite(tmp_path / "scan.tif", frames, imagej=True)
    content = bytearray((tmp_path / "scan.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "scan.tif") as file:
        page = file.pages.first
        end = page.offset + 2 + 12 * len(page.tags)
    content[end : end + 4] = bytes(4)  # no further page
    (tmp_path / "scan.tif").write_bytes(content)
    with convert(data_file=str(tmp_path / "scan.tif")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_series_of_images(convert, tmp_path: Path, suffix: str) -> None:
    """Named by first file and number, by the keys of the parameter file, by a pattern, or by the folder."""
    folder = tmp_path / "raw"
    folder.mkdir()
    frames = pixels(dtype="<i4")
    for i, frame in enumerate(frames):
        tiff(folder / f"au_{i + 8:05d}.tif{suffix}", frame)
    numbered = f"{BASE}\nRawFolder {folder}\nFileStem au\nExt .tif{suffix}\nPadding 5\nStartFileNrFirstLayer 8\n"
    first = str(folder / f"au_00008.tif{suffix}")
    for text, options in (
        (BASE, {"data_file": first, "files_per_scan": 4}),
        (f"{numbered}NrFilesPerSweep 4", {}),
        (BASE, {"data_file": str(folder)}),
        (BASE, {"data_file": str(folder / "au_*")}),
        (BASE, {"data_file": str(folder / f"au_000??.tif{suffix}"), "files_per_scan": 4}),
    ):
        with convert(text, **options) as archive:
            np.testing.assert_array_equal(all_of(archive.frames), frames)
            np.testing.assert_allclose(archive.omegas, 10 - 0.25 * np.arange(4))
    with convert(f"{BASE}\nSkipFrame 2", data_file=str(folder)) as archive:
        assert archive.frames.shape[0] == 4 and archive.omegas[2] == 10
    assert len(list(folder.iterdir())) == 4


def test_series_that_are_none(convert, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"raw: is a folder without images \(.tif .tiff .cbf .edf\)"):
        convert(data_file=str(folder))
    for i in range(3):
        tiff(folder / f"a_{i}.tif", pixels((12, 10)))
    for options, reason in (
        ({"data_file": str(folder), "files_per_scan": 4}, "has 3 files, numFilesPerScan or NrFilesPerSweep is 4"),
        ({"data_file": str(folder / "a_0.tif"), "files_per_scan": 4}, r"a_3\.tif: is missing"),
        ({"data_file": str(folder / "b*.tif")}, "no file fits this pattern"),
    ):
        with pytest.raises(MidasError, match=reason):
            convert(**options)
    with pytest.raises(FormatError, match="the scan has 3 frames, SkipFrame is 3"):
        convert(f"{BASE}\nSkipFrame 3", data_file=str(folder))
    cbf(folder / "a_3.cbf", pixels((12, 10), dtype="i4"))
    with pytest.raises(UsageError, match="holds images of several kinds"):
        convert(data_file=str(folder))
    tiff(folder / "a_2.tif", pixels((12, 11)))
    with pytest.raises(FormatError, match=r"a_2\.tif: has frames of \(12, 11\) pixels"):
        convert(data_file=str(folder / "a*.tif"))


def test_images_that_are_none(convert, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tiff(path, pixels())
    whole = path.read_bytes()
    for content, reason in (
        (whole[:-100], "cannot be read as TIFF"),
        (whole[:400], "is incomplete"),
        (b"no TIFF", "cannot be read as TIFF"),
        (b"", "cannot be read as TIFF"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=reason) as caught:
            convert(data_file=str(path))
        assert caught.value.file == str(path) and "\n" not in str(caught.value)
    tifffile.imwrite(path, np.zeros((12, 10, 3), "u1"), photometric="rgb")
    with pytest.raises(FormatError, match="is a colour image"):
        convert(data_file=str(path))
    tifffile.imwrite(path, np.zeros((2, 12, 10), "f2"), photometric="minisblack")
    with pytest.raises(FormatError, match="pixels of type float16"):
        convert(data_file=str(path))
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((12, 10), "u2"))
        writer.write(np.zeros((12, 11), "u2"))
    with pytest.raises(FormatError, match=r"page 2 has \(12, 11\) pixels of type uint16, the first one \(12, 10\)"):
        convert(data_file=str(path))
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    "options", [{}, {"metadata": None}, {"bigtiff": True, "byteorder": ">"}, {"imagej": True}], ids=str
)
def test_the_end_of_a_stack_is_missing(tmp_path: Path, options: dict) -> None:
    """However much of it: never a shorter scan."""
    path = tiff(tmp_path / "scan.tif", pixels((20, 12, 10)), **options)
    whole = path.read_bytes()
    assert TIFFFrames(path, Reading()).shape[0] == 20
    for missing in (60, 100, 500, 2000, 4000):
        path.write_bytes(whole[:-missing])
        with pytest.raises(FormatError, match="incomplete|is it complete|cannot be read"):
            TIFFFrames(path, Reading())


def test_the_next_page_is_not_there(tmp_path: Path) -> None:
    path = tiff(tmp_path / "scan.tif", pixels((20, 64, 64)))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(FormatError, match=r"page 2 should be at byte \d+, beyond its end \(the file has \d+ bytes\)"):
        TIFFFrames(path, Reading())


def test_images_that_no_page_lists(tmp_path: Path) -> None:
    path = tiff(tmp_path / "scan.tif", pixels((1, 64, 64)))
    with open(path, "ab") as stream:
        stream.write(bytes(20 * 8192))
    with pytest.raises(FormatError, match="has 163840 bytes behind the last of its 1 images, room for 20 more"):
        TIFFFrames(path, Reading())
