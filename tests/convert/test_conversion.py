"""Raw HDF5 files to archives: names, frames, angles, metadata, and every mistake that a user can make."""

from __future__ import annotations

import logging
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from midas.archive import BRIGHT, DATA, Archive
from midas.commands.run import run
from midas.convert import conversion
from midas.convert.options import ConversionOptions
from midas.convert.sweep import consecutive
from midas.parameters import ANALYSIS, SCAN
from midas.runtime.errors import ArchiveError, FormatError, MidasError, ParameterError, UsageError

from .raw_files import BASE, SHAPE, all_of, pixels, write_hdf5

# HDF5


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", "<i4", ">i4", "<f4", ">f8"])
def test_frames_are_those_of_the_file(convert, tmp_path: Path, dtype: str) -> None:
    frames, dark = pixels(dtype=dtype, high=100), pixels((3, *SHAPE[1:]), 1, dtype, 100)
    path = write_hdf5(tmp_path / "scan.h5", frames, dark)
    with convert(data_file=str(path)) as archive:
        assert archive.path.name == "scan_000001.MIDAS.zip"
        assert archive.frames.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(all_of(archive.dark), dark)
        np.testing.assert_array_equal(archive.dataset(BRIGHT).read(), dark)
        assert archive.dataset(f"{SCAN}datatype").read()[()] == np.dtype(dtype).name.encode()
        np.testing.assert_allclose(archive.omegas, 10 - 0.25 * np.arange(4))
        assert archive.parameters["ResultFolder"] == str(tmp_path / "out")
        assert archive.parameters["dataFN"] == str(path)
        for name, value in (("numPxY", 2048), ("numPxZ", 2048), ("omegaStep", 0.0)):
            assert archive.dataset(ANALYSIS + name).read().tolist() == [value]


@pytest.mark.parametrize(
    "options",
    [
        {"chunks": (3, 12, 10), "compression": "gzip"},
        {"chunks": (2, 5, 5), **hdf5plugin.Bitshuffle()},
        {"chunks": (1, 12, 10), **hdf5plugin.Blosc()},
        {},
    ],
)
@pytest.mark.parametrize("frame_chunks", [-1, 1, 3, 100])
def test_any_layout_of_the_file_and_any_block(convert, tmp_path: Path, options: dict, frame_chunks: int) -> None:
    frames = pixels((8, 12, 10))
    path = write_hdf5(tmp_path / "scan.h5", frames, **options)
    with convert(data_file=str(path), frame_chunks=frame_chunks) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)


def test_without_a_dark_there_are_ten_frames_of_zeros(convert, tmp_path: Path) -> None:
    with convert(data_file=str(write_hdf5(tmp_path / "scan.h5", pixels()))) as archive:
        np.testing.assert_array_equal(all_of(archive.dark), np.zeros((10, 12, 10)))


def test_a_single_image_is_one_frame(convert, tmp_path: Path) -> None:
    image = pixels((12, 10))
    with convert(data_file=str(write_hdf5(tmp_path / "scan.h5", image))) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), image[np.newaxis])


@pytest.mark.parametrize("skipped", [0, 1, 2])
def test_three_files_and_skipped_frames(convert, tmp_path: Path, skipped: int) -> None:
    frames = [pixels(seed=i) for i in range(3)]
    for i in range(3):
        write_hdf5(tmp_path / f"scan_{i + 8:03d}.h5", frames[i])
    text = f"{BASE}\nSkipFrame {skipped}"
    with convert(text, data_file=str(tmp_path / "scan_008.h5"), files_per_scan=3) as archive:
        expected = np.concatenate([frames[0], *(more[skipped:] for more in frames[1:])])
        np.testing.assert_array_equal(all_of(archive.frames), expected)
        assert archive.frames.shape[0] == 4 + 2 * (4 - skipped)
        assert archive.dataset(f"{SCAN}start").read()[0] == 10 + 0.25 * skipped
        assert archive.omegas[skipped] == 10


def test_files_may_grow_but_not_shrink(convert, tmp_path: Path) -> None:
    write_hdf5(tmp_path / "scan_1.h5", pixels())
    more = pixels((6, 12, 10))
    write_hdf5(tmp_path / "scan_2.h5", more)
    with convert(data_file=str(tmp_path / "scan_1.h5"), files_per_scan=2) as archive:
        np.testing.assert_array_equal(all_of(archive.frames)[4:], more)
    write_hdf5(tmp_path / "scan_2.h5", pixels((3, 12, 10)))
    with pytest.raises(FormatError, match=r"scan_2\.h5: has 3 frames, the first file of the scan has 4"):
        convert(data_file=str(tmp_path / "scan_1.h5"), files_per_scan=2)


def test_names_from_the_parameter_file(convert, tmp_path: Path) -> None:
    for number in (7, 8, 9, 10):
        write_hdf5(tmp_path / f"au_{number:04d}.h5", pixels(seed=number))
    text = f"{BASE}\nRawFolder {tmp_path}\nFileStem au\nExt .h5\nStartFileNrFirstLayer 7\nPadding 4\n"
    with convert(text) as archive:
        assert archive.path.name == "au_0007.MIDAS.zip"
        np.testing.assert_array_equal(all_of(archive.frames), pixels(seed=7))
    with convert(text, layer=2, data_file="not used") as archive:
        assert archive.path.name == "au_0008.MIDAS.zip"
        np.testing.assert_array_equal(all_of(archive.frames), pixels(seed=8))
        assert archive.parameters["LayerNr"] == 2
    with convert(f"{text}NrFilesPerSweep 2\n", layer=2) as archive:
        assert archive.path.name == "au_0009.MIDAS.zip"
        np.testing.assert_array_equal(all_of(archive.frames)[4:], pixels(seed=10))


def test_relative_names_are_also_sought_beside_the_parameter_file(convert, tmp_path: Path) -> None:
    frames, dark = pixels(), pixels((2, 12, 10), 3)
    (tmp_path / "raw").mkdir()
    write_hdf5(tmp_path / "raw" / "au_000001.h5", frames)
    write_hdf5(tmp_path / "dark.h5", None, dark)
    text = f"{BASE}\nRawFolder raw\nFileStem au\nExt .h5\nStartFileNrFirstLayer 1\nDark dark.h5\n"
    with convert(text) as archive:
        np.testing.assert_array_equal(all_of(archive.dark), dark)


@pytest.mark.parametrize("missing", ["RawFolder", "FileStem", "Ext", "StartFileNrFirstLayer"])
def test_keys_of_the_name_are_required(convert, tmp_path: Path, missing: str) -> None:
    keys = {"RawFolder": tmp_path, "FileStem": "au", "Ext": ".h5", "StartFileNrFirstLayer": 1}
    text = "".join(f"{key} {value}\n" for key, value in keys.items() if key != missing)
    with pytest.raises(ParameterError, match=f"{missing}: is missing"):
        convert(BASE + text)


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("a_0009.h5", ["a_0009.h5", "a_0010.h5", "a_0011.h5"]),
        ("a_99.ge3", ["a_99.ge3", "a_100.ge3", "a_101.ge3"]),
        ("s2_07.b.ge2.bz2", ["s2_07.b.ge2.bz2", "s2_08.b.ge2.bz2", "s2_09.b.ge2.bz2"]),
        ("x1y.h5", ["x1y.h5", "x2y.h5", "x3y.h5"]),
    ],
)
def test_the_last_number_of_the_stem_goes_up(first: str, names: list[str]) -> None:
    assert [path.name for path in consecutive(Path("raw") / first, 3)] == names


def test_a_scan_of_several_files_needs_a_number() -> None:
    assert consecutive(Path("scan.h5"), 1) == [Path("scan.h5")]
    with pytest.raises(UsageError, match="number"):
        consecutive(Path("scan.h5"), 2)


def test_an_archive_that_is_there_is_kept(convert, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "scan.h5", pixels())
    first = convert(data_file=str(path)).path
    content = first.read_bytes()
    write_hdf5(path, pixels(seed=5))
    convert(data_file=str(path))
    assert first.with_name(f"{first.name}.old").read_bytes() == content
    path.unlink()
    with pytest.raises(FormatError, match="is missing"):
        convert(data_file=str(path))
    assert sorted(p.name for p in first.parent.iterdir() if p.is_file()) == [first.name, f"{first.name}.old"]


def test_parameter_values_and_options(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An option wins only when it is not at its default; ResultFolder of the file stays."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["a/frames"] = pixels()
        file["b/frames"] = pixels(seed=2)
    text = f"{BASE}\ndataLoc a/frames\nResultFolder /elsewhere/\nMyKey 3\n"
    path = str(tmp_path / "scan.h5")
    with convert(text, data_file=path) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), pixels())
        assert archive.parameters["ResultFolder"] == "/elsewhere/"
        assert archive.dataset(f"{ANALYSIS}MyKey").read().tolist() == [3]
    assert "ResultFolder /elsewhere/ is recorded" in caplog.text
    with convert(text, data_file=path, data_location="b/frames") as archive:
        np.testing.assert_array_equal(all_of(archive.frames), pixels(seed=2))


def test_metadata_of_the_file(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_hdf5(tmp_path / "scan.h5", pixels())
    with h5py.File(path, "a") as file:
        file["startOmeOverride"] = 12.5
        file["measurement/instrument/GSAS2_PVS/Pressure"] = np.arange(4.0)
        file["elsewhere/T"] = np.arange(3)
        file["measurement/process/scan_parameters/start"] = 99.0
        file["measurement/exchange/data"] = np.arange(5)
        file["measurement/instrument/huge"] = np.zeros((3, 1000, 1000))
        file["instrument/name"] = "APS 1-ID"
        file["instrument/detectors"] = np.array(["GE1", "GE10"], h5py.string_dtype())
        file["instrument/on"] = True
        file["instrument/empty"] = np.zeros(0)
    with convert(f"{BASE}\nTemperatureDatasetPath /elsewhere/T", data_file=str(path)) as archive:
        read = {name: archive.dataset(name).read() for name in archive.datasets() if name != DATA}
        assert read[f"{SCAN}startOmeOverride"].tolist() == [12.5]
        assert read[f"{SCAN}Pressure"].tolist() == [0, 1, 2, 3]
        assert read["measurement/instrument/GSAS2_PVS/Pressure"].tolist() == [0, 1, 2, 3]
        assert read[f"{SCAN}Temperature"].tolist() == [0, 1, 2]
        assert read[f"{SCAN}start"].tolist() == [10]
        assert read["instrument/name"].tolist() == [b"APS 1-ID"]
        assert read["instrument/detectors"].tolist() == [b"GE1", b"GE10"]
        assert read["instrument/on"].tolist() == [1]
        absent = {"measurement/exchange/data", "measurement/instrument/huge", "instrument/empty"}
        assert not absent & set(read)
        assert archive.parameters["Lsd"] == 1e6
    assert "measurement/exchange/data is not copied" in caplog.text
    with zipfile.ZipFile(archive.path) as members:
        names = members.namelist()
    assert len(names) == len(set(names)) and "instrument/.zgroup" in names


def test_metadata_in_a_circle(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Links may lead upwards, and make of a few groups any number of names."""
    path = write_hdf5(tmp_path / "scan.h5", pixels())
    with h5py.File(path, "a") as file:
        file["instrument/detector/count_time"] = 0.3
        file["instrument/detector/instrument"] = h5py.SoftLink("/instrument")
        file["instrument/hard"] = file["/"]
        level = file.create_group("measurement/0")
        for _ in range(30):  # 2^30 names
            below = level.create_group("a")
            level["b"], level = below, below
    with convert(data_file=str(path)) as archive:
        assert archive.dataset("instrument/detector/count_time").read().tolist() == [0.3]
    assert "of measurement only the first 5000 groups and datasets are copied" in caplog.text


# Mistakes


def test_files_that_are_not_what_they_are_called(convert, tmp_path: Path) -> None:
    for name, error in (("a.h5", FormatError), ("a.npz", FormatError), ("a.zip", ArchiveError)):
        (tmp_path / name).write_bytes(b"something else entirely, and long enough to have a header")
        with pytest.raises(error, match=name):
            convert(data_file=str(tmp_path / name))
    np.save(tmp_path / "b", pixels())
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(FormatError, match=r"is not a \.npz file"):
        convert(data_file=str(tmp_path / "b.npz"))


def test_datasets_that_hold_no_frames(convert, tmp_path: Path) -> None:
    for content, reason in (
        (np.zeros((2, 3, 4), "i8"), "pixels of type int64"),
        (np.zeros((2, 3, 4), "f2"), "pixels of type float16"),
        (np.zeros(7, "u2"), "has shape"),
        (np.zeros((0, 3, 4), "u2"), "has shape"),
    ):
        path = write_hdf5(tmp_path / "scan.h5", content)
        with pytest.raises(FormatError, match=reason):
            convert(data_file=str(path))
    with pytest.raises(FormatError, match=r"xchange: no dataset of this name; there is exchange/data \(0 x 3"):
        convert(data_file=str(path), data_location="xchange")


def test_a_damaged_file_leaves_no_archive(convert, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "scan.h5", pixels((4, 64, 64)), chunks=(1, 64, 64), compression="gzip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"scan\.h5"):
        convert(data_file=str(path))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        ("", {"frame_chunks": 0}, "numFrameChunks"),
        ("", {"frame_chunks": -2}, "numFrameChunks"),
        ("", {"files_per_scan": 0}, "numFilesPerScan"),
        ("", {"layer": 0}, "LayerNr"),
        ("SkipFrame -1", {}, "SkipFrame"),
        ("SkipFrame 4", {}, "SkipFrame is 4"),
        ("start 5", {}, "start"),
        ("datatype uint16", {}, "datatype"),
        ("NrPixelsY -3", {}, "NrPixelsY"),
    ],
)
def test_impossible_parameters(convert, tmp_path: Path, text: str, options: dict, reason: str) -> None:
    path = write_hdf5(tmp_path / "scan_1.h5", pixels())
    with pytest.raises(MidasError, match=reason):
        convert(f"{BASE}\n{text}\n", data_file=str(path), **options)


def test_a_missing_parameter_file(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be read"):
        conversion.run(ConversionOptions(tmp_path / "none.txt", tmp_path), threads=1)


def test_a_large_header_means_frames_to_skip(convert, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "scan.h5", pixels())
    text = f"{BASE}\nNrPixelsY 10\nNrPixelsZ 12\nHeadSize {8192 + 240}\n"
    with convert(text, data_file=str(path)) as archive:
        assert archive.parameters["SkipFrame"] == 1 and archive.parameters["HeadSize"] == 8192
        assert archive.dataset(f"{SCAN}start").read()[0] == 10.25


def test_memory_does_not_grow_with_the_scan(convert, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            data = file.create_dataset("exchange/data", (count, 128, 128), "<u2", chunks=(1, 128, 128))
            for i in range(count):
                data[i] = i
        tracemalloc.start()
        convert(data_file=str(tmp_path / "scan.h5"), frame_chunks=4).close()
        tracemalloc.stop()
        tracemalloc.start()
        convert(data_file=str(tmp_path / "scan.h5"), frame_chunks=4).close()
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    frame = 128 * 128 * 2
    assert peak(200) - peak(20) < 10 * frame  # the archive's directory grows, the frames do not


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts take the second word of the last line, and the exit code."""
    monkeypatch.chdir(tmp_path)
    for name in ("handlers", "propagate", "level"):  # the command line sets them for good; other tests listen
        logger = logging.getLogger("midas")
        monkeypatch.setattr(logger, name, getattr(logger, name))
    (tmp_path / "ps.txt").write_text(BASE)
    write_hdf5(tmp_path / "scan.h5", pixels(), pixels(seed=1))
    arguments = ["-resultFolder", "sub/folder", "-paramFN", "ps.txt", "-dataFN", "scan.h5"]
    options = ["-numPxY", "10", "-preProcThresh", "4", "-omegaStep", "0.5"]
    assert run("ffGenerateZipRefactor.py", [*arguments, *options]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "OutputZipName: sub/folder/scan_000001.MIDAS.zip"
    assert err == ""
    with Archive("sub/folder/scan_000001.MIDAS.zip") as archive:
        assert archive.parameters["preProcThresh"] == 4 and archive.parameters["NrPixelsY"] == 10
        assert archive.dataset(f"{ANALYSIS}omegaStep").read().tolist() == [0.5]
    for wrong, code in ((["-dataFN", "scan.ge3"], 1), (["-dataFN", "none.h5"], 1), (["-dataLoc", "none"], 1)):
        assert run("ff-convert", [*arguments, *wrong]) == code
        out, err = capsys.readouterr()
        assert err.startswith("ff-convert: ") and err.count("\n") == 1
    assert run("ff-convert", ["-paramFN", "ps.txt"]) == 2
