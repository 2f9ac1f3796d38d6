"""GE files and other raw pixels: any header, type, byte order, compression, extension; and what cannot be."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.archive import DATA, Archive
from midas.archive.zip_container import ZipReader
from midas.parameters import SCAN
from midas.runtime.errors import FormatError, MidasError

from .raw_files import BASE, SHAPE, SUFFIXES, all_of, compressed, ge, pixels, write_hdf5

SIZES = f"{BASE}\nNrPixelsY {SHAPE[2]}\nNrPixelsZ {SHAPE[1]}\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", "u1 i1 u2 i2 u4 i4 f4 f8 >u2 >i2 >u4 >i4 >f4 >f8".split())
def test_every_type_and_compression(convert, tmp_path: Path, dtype: str, suffix: str) -> None:
    frames = pixels(dtype=dtype, high=100)
    path = ge(tmp_path / f"scan.ge3{suffix}", frames)
    with convert(f"{SIZES}RawPixelType {dtype}", data_file=str(path)) as archive:
        assert archive.frames.dtype == frames.dtype.newbyteorder("=")
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(all_of(archive.dark), np.zeros((1, *SHAPE[1:])))
        assert archive.dataset(f"{SCAN}datatype").read()[()] == frames.dtype.name.encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "ps.txt", path.name]
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_file()]) == 1


@pytest.mark.parametrize("name", ["a.ge", "a.ge1", "a.GE5", "a.ge5.gz", "a.raw", "a.xyz", "a"])
def test_every_other_extension_means_raw_pixels(convert, tmp_path: Path, name: str, caplog) -> None:
    caplog.set_level("INFO")
    frames = pixels(dtype="<u4")
    with convert(f"{SIZES}PixelValue 4", data_file=str(ge(tmp_path / name, frames))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    said = next(record for record in caplog.records if "is read as raw pixels" in record.message)
    assert "a header of 8192 bytes, then frames of 12 rows of 10 pixels of type uint32" in said.message
    assert said.levelname == ("WARNING" if name in ("a.xyz", "a") else "INFO")
    assert ("the extension of no format" in said.message) == (name in ("a.xyz", "a"))


@pytest.mark.parametrize("header", [0, 1, 512, 8192, 8192 + 239])
@pytest.mark.parametrize("suffix", ["", ".bz2"])
def test_any_header(convert, tmp_path: Path, header: int, suffix: str) -> None:
    frames = pixels()
    path = ge(tmp_path / f"scan.ge1{suffix}", frames, header)
    with convert(f"{SIZES}HeadSize {header}", data_file=str(path)) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_a_header_with_frames_in_it(convert, tmp_path: Path) -> None:
    frames = pixels(dtype="<i4")
    text = f"{SIZES}RawPixelType i4\nHeadSize {8192 + 2 * 480 + 5}"
    with convert(text, data_file=str(ge(tmp_path / "scan.ge1", frames))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        assert archive.parameters["SkipFrame"] == 2 and archive.omegas[2] == 10


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("skipped", [0, 1])
def test_files_of_a_sweep(convert, tmp_path: Path, suffix: str, skipped: int) -> None:
    """Their number of frames is known in the end only, when they are compressed; the archive is the same."""
    parts = [pixels(seed=i) for i in range(3)]
    for i, part in enumerate(parts):
        ge(tmp_path / f"au_{i + 9:04d}.ge2{suffix}", part)
    text = f"{SIZES}SkipFrame {skipped}\nRawFolder {tmp_path}\nFileStem au\nExt .ge2{suffix}\nPadding 4\n"
    with convert(f"{text}StartFileNrFirstLayer 9\nNrFilesPerSweep 3\nEndNr {12 - 2 * skipped}") as archive:
        expected = np.concatenate([parts[0], *(part[skipped:] for part in parts[1:])])
        np.testing.assert_array_equal(all_of(archive.frames), expected)
        np.testing.assert_allclose(archive.omegas, 10 - 0.25 * (np.arange(12 - 2 * skipped) - skipped))


def test_an_archive_from_a_stream_is_as_any_other(convert, tmp_path: Path) -> None:
    """Same members in the same order: legacy programs count them. Only the place in the file differs."""

    def members(archive: Archive) -> list[tuple[str, int]]:
        with archive, ZipReader(archive.path) as container:
            return [(m.name, m.crc) for m in container.entries if "dataFN" not in m.name]

    plain = members(convert(SIZES, data_file=str(ge(tmp_path / "scan.ge3", pixels()))))
    assert f"{DATA}/.zarray" in dict(plain)
    assert members(convert(SIZES, data_file=str(ge(tmp_path / "scan.ge3.bz2", pixels())))) == plain


def test_a_missing_file_of_a_sweep(convert, tmp_path: Path) -> None:
    """The scan does not end there in silence, whichever file it is."""
    for number in (1, 2, 3):
        ge(tmp_path / f"scan_{number}.ge3", pixels(seed=number))
    for missing in (3, 2):
        (tmp_path / f"scan_{missing}.ge3").unlink()
        with pytest.raises(FormatError, match=rf"scan_{missing}\.ge3: is missing"):
            convert(SIZES, data_file=str(tmp_path / "scan_1.ge3"), files_per_scan=3)
        assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("suffix", [".bz2", ".gz"])
def test_a_plain_file_beside_a_compressed_one_is_left_alone(convert, tmp_path: Path, suffix: str) -> None:
    """Another file of the user, which a decompression in place would overwrite and then delete."""
    frames = pixels()
    path = ge(tmp_path / f"scan.ge3{suffix}", frames)
    (tmp_path / "scan.ge3").write_bytes(b"mine")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("scan*")}
    with convert(SIZES, data_file=str(path)) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("scan*")} == before
    assert (tmp_path / "scan.ge3").read_bytes() == b"mine"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sizes_that_do_not_fit(convert, tmp_path: Path, suffix: str) -> None:
    content = bytes(8192) + pixels().tobytes()
    path = tmp_path / f"scan.ge3{suffix}"
    for length, reason in (
        (len(content) - 100, r"has 9052 bytes, .*after 3 frames 140 bytes of 240 are left; is it complete"),
        (8192, "has 8192 bytes, too few for a header of 8192 bytes and frames of 12 x 10 pixels of 2 bytes"),
        (100, "has 100 bytes, too few"),
        (0, "has 0 bytes, too few"),
    ):
        compressed(path, content[:length])
        with pytest.raises(FormatError, match=reason) as caught:
            convert(SIZES, data_file=str(path))
        assert "HeadSize, NrPixelsZ, NrPixelsY, RawPixelType" in str(caught.value)
        assert caught.value.file == str(path) and not list((tmp_path / "out").glob("*"))


def test_a_later_file_of_a_stream_is_short(convert, tmp_path: Path) -> None:
    ge(tmp_path / "scan_1.ge3.gz", pixels())
    ge(tmp_path / "scan_2.ge3.gz", pixels((3, 12, 10)))
    with pytest.raises(FormatError, match=r"scan_2\.ge3\.gz: has 3 frames, the first file of the scan has 4"):
        convert(SIZES, data_file=str(tmp_path / "scan_1.ge3.gz"), files_per_scan=2)
    with pytest.raises(FormatError, match=r"scan_1\.ge3\.gz: has 4 frames, SkipFrame is 4"):
        convert(f"{SIZES}SkipFrame 4", data_file=str(tmp_path / "scan_1.ge3.gz"))
    assert not list((tmp_path / "out").iterdir())


def test_a_file_is_cut_while_it_is_read(convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from midas.convert.readers import ge as module
    from midas.convert.source import Reading

    path = ge(tmp_path / "scan.ge3", pixels())
    source = module.GEFrames(path, Reading(rows=12, columns=10))
    path.write_bytes(path.read_bytes()[:-7])
    frames = list(source.frames())
    np.testing.assert_array_equal(frames[2](), pixels()[2])
    with pytest.raises(FormatError, match="ends 7 bytes before the end of a frame"):
        frames[3]()


def test_other_formats_under_the_name_of_a_detector(convert, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    frames = pixels()
    write_hdf5(tmp_path / "scan.ge5", frames)
    with convert(data_file=str(tmp_path / "scan.ge5")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
    assert "scan.ge5: is read as HDF5, which it begins like" in caplog.text
    caplog.clear()
    for number in (1, 2):
        write_hdf5(tmp_path / f"scan_00{number}.ge5.h5", frames)
    with convert(data_file=str(tmp_path / "scan_001.ge5.h5"), files_per_scan=2) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), np.concatenate([frames, frames]))
    assert "is read as" not in caplog.text


@pytest.mark.parametrize("chunks", [-1, 1, 3])
def test_darks_of_several_files_and_a_threshold(convert, tmp_path: Path, chunks: int) -> None:
    """A mean over all frames of all files, whatever their format; leading frames of each do not count."""
    frames = pixels(high=3000)
    first, second, third = pixels((3, 12, 10), 1), pixels((2, 12, 10), 2), pixels((1, 12, 10), 3)
    ge(tmp_path / "dark_before.ge3.bz2", first)
    write_hdf5(tmp_path / "dark_after.h5", None, second)
    ge(tmp_path / "dark_single.ge3", third)
    text = f"{SIZES}SkipFrame 1\nDark dark_before.ge3.bz2\nDark dark_after.h5\nDark dark_single.ge3\n"
    data = str(ge(tmp_path / "scan.ge3", frames))
    stack = np.concatenate([first, second[1:], third])
    with convert(text, data_file=data, frame_chunks=chunks) as archive:
        np.testing.assert_array_equal(all_of(archive.dark), stack)
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        assert archive.parameters["Dark"] == ("dark_before.ge3.bz2", "dark_after.h5", "dark_single.ge3")
    mean = stack[1:].mean(axis=0)
    expected = np.where(frames < mean + 5, 0, np.maximum(frames.astype(int) - mean.astype(int), 0))
    with convert(text, data_file=data, frame_chunks=chunks, threshold=5) as archive:
        assert not all_of(archive.dark).any() and archive.dark.shape == stack.shape
        np.testing.assert_array_equal(all_of(archive.frames), expected)


def test_a_dark_of_one_frame_survives_the_skipping_of_readers(convert, tmp_path: Path) -> None:
    """They leave out as many dark frames as data frames; the only one must not be among these."""
    dark = pixels((1, 12, 10), 1)
    ge(tmp_path / "dark.ge3", dark)
    data = str(ge(tmp_path / "scan.ge3", pixels()))
    with convert(f"{SIZES}SkipFrame 2\nDark dark.ge3", data_file=data) as archive:
        np.testing.assert_array_equal(all_of(archive.dark)[2:], dark)


def test_darks_by_a_pattern(convert, tmp_path: Path) -> None:
    for i in (2, 10):
        ge(tmp_path / f"dark_{i}.ge3", pixels((2, 12, 10), i))
    data = str(ge(tmp_path / "scan.ge3", pixels()))
    with convert(f"{SIZES}Dark dark_*.ge3", data_file=data) as archive:
        expected = np.concatenate([pixels((2, 12, 10), 2), pixels((2, 12, 10), 10)])
        np.testing.assert_array_equal(all_of(archive.dark), expected)
    with pytest.raises(MidasError, match="nothing_\\*: no file fits this pattern"):
        convert(f"{SIZES}Dark nothing_*", data_file=data)
    ge(tmp_path / "wrong.ge3", pixels((2, 12, 11), 1))
    with pytest.raises(FormatError, match="is not a header of 8192 bytes"):
        convert(f"{SIZES}Dark wrong.ge3", data_file=data)


def test_a_flood(convert, tmp_path: Path) -> None:
    """The mean of its images, in double precision."""
    flood = pixels((2, 12, 10), 4)
    with h5py.File(tmp_path / "flood.h5", "w") as file:
        file["exchange/data"] = flood
    data = str(ge(tmp_path / "scan.ge3", pixels()))
    with convert(f"{SIZES}FloodFN flood.h5", data_file=data) as archive:
        np.testing.assert_array_equal(archive.flood[0], flood.mean(axis=0))
        assert archive.parameters["FloodFN"] == "flood.h5"
    with h5py.File(tmp_path / "flood.h5", "w") as file:
        file["exchange/data"] = flood[:, 1:]
    with pytest.raises(FormatError, match=r"flood\.h5: FloodFN: has \(11, 10\) pixels, the frames have \(12, 10\)"):
        convert(f"{SIZES}FloodFN flood.h5", data_file=data)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("RawPixelType u3", "line 15: RawPixelType: u3: must be one of u1, i1, u2"),
        ("HeadSize -1", "HeadSize: -1: must not be negative"),
    ],
)
def test_impossible_layouts(convert, tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(MidasError, match=reason):
        convert(f"{SIZES}{line}", data_file=str(ge(tmp_path / "scan.ge3", pixels())))
