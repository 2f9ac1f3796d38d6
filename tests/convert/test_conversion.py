"""Raw files to archives: names, frames, dark, angles, mask, metadata, and every mistake that a user can make."""

from __future__ import annotations

import logging
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.archive import BRIGHT, DATA, FLOOD, Archive, ArchiveWriter, set_dataset
from midas.cli import run
from midas.convert import conversion
from midas.convert.dark import DarkCorrection
from midas.convert.sweep import consecutive
from midas.errors import ArchiveError, FormatError, MidasError, ParameterError, UsageError
from midas.parameters import ANALYSIS, SCAN

SHAPE = (4, 12, 10)
BASE = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 5 6
px 200
RhoD 204800
RingThresh 1 80
OmegaFirstFile 10
OmegaStep -0.25
"""


def pixels(shape: tuple[int, ...] = SHAPE, seed: int = 0, dtype: str = "<u2", high: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape).astype(dtype)


def write_hdf5(path: Path, frames: np.ndarray | None, dark: np.ndarray | None = None, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        if frames is not None:
            file.create_dataset("exchange/data", data=frames, **options)
        if dark is not None:
            file.create_dataset("exchange/dark", data=dark)
    return path


def write_sparse(path: Path, frames: np.ndarray, omegas: np.ndarray | None = None, **changes: Any) -> Path:
    content: dict[str, Any] = {"shape": frames.shape[1:], "nframes": len(frames), "dtype": np.bytes_(frames.dtype.name)}
    for i, frame in enumerate(frames):
        rows, columns = np.nonzero(frame)
        content |= {f"{i}_row": rows.astype("u2"), f"{i}_col": columns.astype("u2"), f"{i}_data": frame[rows, columns]}
    if omegas is not None:
        step = omegas[1] - omegas[0] if len(omegas) > 1 else 1.0
        content["omega"] = np.stack([omegas, omegas + step], 1)
    content |= changes
    np.savez_compressed(path, **{name: value for name, value in content.items() if value is not None})
    return path


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., Archive]:
    """Convert with a parameter text and options, and open what comes out."""

    def converted(text: str = BASE, **options: Any) -> Archive:
        parameter_file = tmp_path / "ps.txt"
        parameter_file.write_text(text)
        result = conversion.run(parameter_file, tmp_path / "out", **{"threads": 2, **options})
        assert not list(result.data.parent.glob("*.part"))
        return Archive(result.data)

    return converted


def all_of(stack: Any) -> np.ndarray:
    return np.stack(list(stack))


# HDF5


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">u2", "<i2", "<u4", "<i4", ">i4", "<f4", ">f8"])
def test_frames_are_those_of_the_file(convert, tmp_path: Path, dtype: str) -> None:
    frames, dark = pixels(dtype=dtype, high=100), pixels((3, *SHAPE[1:]), 1, dtype, 100)
    path = write_hdf5(tmp_path / "scan.h5", frames, dark)
    with convert(data_file=str(path)) as archive:
        assert archive.path.name == "scan.h5.analysis.MIDAS.zip"
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
    assert sorted(p.name for p in first.parent.iterdir()) == [first.name, f"{first.name}.old"]


def test_parameter_values_and_options(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An option wins only when it is not at its default; ResultFolder of the file stays."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["a/frames"] = pixels()
        file["b/frames"] = pixels(seed=2)
    text = f"{BASE}\ndataLoc a/frames\nResultFolder /elsewhere/\nEndNr 9\nMyKey 3\n"
    path = str(tmp_path / "scan.h5")
    with convert(text, data_file=path) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), pixels())
        assert archive.parameters["ResultFolder"] == "/elsewhere/"
        assert archive.dataset(f"{ANALYSIS}MyKey").read().tolist() == [3]
    assert "ResultFolder /elsewhere/ is recorded" in caplog.text and "EndNr is 9" in caplog.text
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


# Dark and threshold


def reference_correction(frames: np.ndarray, dark: np.ndarray, threshold: int) -> np.ndarray:
    """Chapter 01 §4.3.5, one pixel after the other."""
    limit = dark + max(threshold, 0)
    out = [0 if p < t else max(0, int(p) - int(d)) for p, t, d in zip(frames.flat, limit.flat, dark.flat, strict=True)]
    return np.array(out).reshape(frames.shape)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"]))
def test_the_correction_is_that_of_the_formula(data: st.DataObject, dtype: str) -> None:
    kind = np.dtype(dtype)
    low, high = (-1e4, 1e4) if kind.kind == "f" else (np.iinfo(kind).min, np.iinfo(kind).max)
    numbers = (
        st.floats(low, high, width=32, allow_subnormal=False) if kind.kind == "f" else st.integers(int(low), int(high))
    )
    frame = np.array(data.draw(st.lists(numbers, min_size=6, max_size=6)), kind).reshape(2, 3)
    values = st.floats(float(low), float(high) * 1.1)
    dark = np.array(data.draw(st.lists(values, min_size=6, max_size=6)), float).reshape(2, 3)
    threshold = data.draw(st.sampled_from([0, 1, 10, 100]))
    found = DarkCorrection(dark, threshold, kind)(frame)
    assert found.dtype == kind
    expected = np.minimum(
        reference_correction(frame.astype(float), dark, threshold), high if kind.kind == "i" else np.inf
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["<u2", "<i4", "<f4"])
@pytest.mark.parametrize("threshold", [0, 10])
@pytest.mark.parametrize("skipped", [0, 1])
def test_a_threshold_subtracts_the_dark_now(convert, tmp_path: Path, threshold: int, skipped: int, dtype: str) -> None:
    frames, dark = pixels(dtype=dtype), pixels((3, 12, 10), 1, dtype, 200)
    path = write_hdf5(tmp_path / "scan.h5", frames, dark)
    with convert(f"{BASE}\nSkipFrame {skipped}", data_file=str(path), threshold=threshold) as archive:
        mean = np.broadcast_to(dark[skipped:].astype(float).mean(0), frames.shape)
        np.testing.assert_array_equal(all_of(archive.frames), reference_correction(frames, mean, threshold))
        np.testing.assert_array_equal(all_of(archive.dark), np.zeros((3, 12, 10)))
        assert archive.parameters["preProcThresh"] == threshold


def test_a_single_dark_frame_counts_even_when_frames_are_skipped(convert, tmp_path: Path) -> None:
    frames, dark = pixels(), pixels((1, 12, 10), 1, high=200)
    path = write_hdf5(tmp_path / "scan.h5", frames, dark)
    with convert(f"{BASE}\nSkipFrame 1", data_file=str(path), threshold=0) as archive:
        mean = np.broadcast_to(dark.astype(float)[0], frames.shape)
        np.testing.assert_array_equal(all_of(archive.frames), reference_correction(frames, mean, 0))


def test_thresholds_below_0(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = pixels()
    path = write_hdf5(tmp_path / "scan.h5", frames, pixels((1, 12, 10), 1, high=200))
    with convert(f"{BASE}\npreProcThresh -7", data_file=str(path)) as archive:
        assert archive.parameters["preProcThresh"] == 0
        assert all_of(archive.dark).max() == 0
    assert "is below 0" in caplog.text
    with convert(f"{BASE}\npreProcThresh 5", data_file=str(path), threshold=-1) as archive:
        assert archive.parameters["preProcThresh"] == 5


def test_dark_files(convert, tmp_path: Path) -> None:
    frames, dark = pixels(), pixels((2, 12, 10), 4)
    path = write_hdf5(tmp_path / "scan.h5", frames, pixels((1, 12, 10), 9))
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["dark"] = dark.astype(float) + 0.25
    with convert(f"{BASE}\nDark {tmp_path / 'none.h5'}", data_file=str(path), dark_file=str(tmp_path / "dark.h5")) as a:
        np.testing.assert_array_equal(all_of(a.dark), dark)  # in the type of the data, not subtracted (D1)
        np.testing.assert_array_equal(all_of(a.frames), frames)
        assert a.dataset(f"{ANALYSIS}darkFN").read().tolist() == [str(tmp_path / "dark.h5").encode()]
    with pytest.raises(FormatError, match=r"none\.h5: is missing"):
        convert(f"{BASE}\nDark {tmp_path / 'none.h5'}", data_file=str(path))
    write_hdf5(tmp_path / "dark.h5", frames)
    with pytest.raises(FormatError, match=r"dark\.h5: exchange/dark: no dataset of this name; there is exchange/data"):
        convert(data_file=str(path), dark_file=str(tmp_path / "dark.h5"))
    write_hdf5(tmp_path / "dark.h5", None, pixels((1, 10, 12)))
    with pytest.raises(FormatError, match=r"dark has frames of \(10, 12\) pixels, the data have \(12, 10\)"):
        convert(data_file=str(path), dark_file=str(tmp_path / "dark.h5"))


# Mask


@pytest.mark.parametrize("name", ["mask.tif", "mask.png"])
def test_the_mask_is_1_wherever_the_image_is_not_0(convert, tmp_path: Path, name: str) -> None:
    from PIL import Image

    image = np.zeros((12, 10), np.uint8)
    image[3, 4:7] = [1, 255, 2]
    Image.fromarray(image).save(tmp_path / name)
    path = write_hdf5(tmp_path / "scan.h5", pixels(dtype="<i4"))
    with convert(f"{BASE}\nMaskFN {name}", data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.mask[0], image != 0)
        assert archive.mask.dtype == np.int32 and archive.mask.shape == (1, 12, 10)


def test_masks_that_do_not_fit(convert, tmp_path: Path) -> None:
    path = str(write_hdf5(tmp_path / "scan.h5", pixels()))
    text = f"{BASE}\nMaskFN {tmp_path / 'mask.tif'}"
    with pytest.raises(FormatError, match="MaskFN: is missing"):
        convert(text, data_file=path)
    tifffile.imwrite(tmp_path / "mask.tif", np.zeros((10, 12), np.uint8))
    with pytest.raises(FormatError, match=r"has \(10, 12\) pixels, the frames have \(12, 10\)"):
        convert(text, data_file=path)
    (tmp_path / "mask.tif").write_bytes(b"no image")
    with pytest.raises(FormatError, match="cannot be read as an image"):
        convert(text, data_file=path)
    assert not list((tmp_path / "out").iterdir())


# Sparse caches


@pytest.mark.parametrize("dtype", ["<u2", "<i4", "<f4"])
def test_sparse_frames(convert, tmp_path: Path, dtype: str) -> None:
    frames = pixels((6, 12, 10), dtype=dtype)
    frames[frames < 250] = 0
    frames[2] = 0
    path = write_sparse(tmp_path / "scan.npz", frames, 10 - 0.25 * np.arange(6))
    with convert(data_file=str(path)) as archive:
        assert archive.frames.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(all_of(archive.dark), np.zeros((1, 12, 10)))
        assert archive.dataset(f"{SCAN}omegaCenter") is None


@pytest.mark.parametrize("skipped", [0, 2])
def test_angles_of_a_raw_file(convert, tmp_path: Path, skipped: int, caplog: pytest.LogCaptureFixture) -> None:
    """Equal to start and step (also a full turn away): nothing; else the angle at which each frame begins."""
    frames = pixels((6, 12, 10))
    text = f"{BASE}\nSkipFrame {skipped}"
    recorded = 10 - 0.25 * (np.arange(6) - skipped)
    for angles in (recorded, recorded + 360, recorded - 720, recorded + 5e-7):
        with convert(text, data_file=str(write_sparse(tmp_path / "scan.npz", frames, angles))) as archive:
            assert archive.dataset(f"{SCAN}omegaCenter") is None
            np.testing.assert_allclose(archive.omegas, recorded)
    assert "begins at omega" not in caplog.text
    angles = recorded.copy()
    angles[3] += 0.01
    with convert(text, data_file=str(write_sparse(tmp_path / "scan.npz", frames, angles))) as archive:
        np.testing.assert_array_equal(archive.omegas, angles)
    assert "frame 3 begins at omega" in caplog.text


def test_without_a_step_the_raw_file_gives_it(convert, tmp_path: Path) -> None:
    text = BASE.replace("OmegaStep -0.25", "").replace("OmegaFirstFile 10", "SkipFrame 1")
    path = write_sparse(tmp_path / "scan.npz", pixels(), np.array([5.0, 5.5, 6.0, 6.5]))
    with convert(text, data_file=str(path)) as archive:
        np.testing.assert_array_equal(archive.omegas, [5.0, 5.5, 6.0, 6.5])
        assert archive.parameters["OmegaStep"] == 0.5 and archive.parameters["OmegaStart"] == 5.5
        assert archive.dataset(f"{SCAN}omegaCenter") is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": None}, "shape: is missing; is this a sparse frame cache"),
        ({"2_col": None}, "2_col: is missing"),
        ({"dtype": np.bytes_("int64")}, "pixels of type int64"),
        ({"dtype": np.bytes_("nonsense")}, "nonsense"),
        ({"nframes": 0}, "0"),
        ({"nframes": 5, "omega": None}, "4_row: is missing"),
        ({"shape": (12,)}, "shape"),
        ({"3_row": np.array([12], "u2"), "3_col": np.array([0], "u2"), "3_data": np.ones(1)}, "3_row: has an index"),
        ({"3_row": np.array([-1]), "3_col": np.array([0]), "3_data": np.ones(1)}, "3_row: has an index outside 0"),
        ({"1_row": np.array([1], "u2")}, "1_data: rows, columns and data differ"),
        ({"1_row": np.zeros(1), "1_col": np.zeros(1), "1_data": np.ones(1)}, "1_row: holds no whole numbers"),
        ({"omega": np.zeros((3, 2))}, "omega: must hold start and end of 4 frames"),
        ({"omega": np.full((4, 2), np.nan)}, "omega"),
    ],
)
def test_caches_that_are_none(convert, tmp_path: Path, changes: dict, reason: str) -> None:
    path = write_sparse(tmp_path / "scan.npz", pixels(), np.arange(4.0), **changes)
    with pytest.raises(FormatError) as caught:
        convert(data_file=str(path))
    assert reason in str(caught.value) and caught.value.file == str(path)
    out = tmp_path / "out"
    assert not out.exists() or not list(out.iterdir())


# Archives as raw files


def test_an_archive_is_converted_again(convert, tmp_path: Path) -> None:
    frames, dark, flood = pixels(), pixels((2, 12, 10), 1), np.linspace(0, 2, 144).reshape(1, 12, 12)
    with ArchiveWriter(tmp_path / "old.zip", frames.shape, frames.dtype) as writer:
        writer.add_frames("exchange/dark", dark.shape, dark)
        writer.add_frames(DATA, frames.shape, frames)
        writer.add_dataset(FLOOD, flood)
        writer.add_dataset(f"{ANALYSIS}Lsd", [5.0])
    with convert(data_file=str(tmp_path / "old.zip")) as archive:
        np.testing.assert_array_equal(all_of(archive.frames), frames)
        np.testing.assert_array_equal(all_of(archive.dark), dark)
        np.testing.assert_array_equal(archive.flood[0], flood[0])
        assert archive.mask is None and archive.parameters["Lsd"] == 1e6
        assert archive.omegas[0] == 10
    set_dataset(tmp_path / "old.zip", f"{SCAN}omegaCenter", [1.0, 5.0, 2.0, 3.0])
    with convert(data_file=str(tmp_path / "old.zip")) as archive:
        assert archive.omegas.tolist() == [1.0, 5.0, 2.0, 3.0]


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


@pytest.mark.parametrize("name", ["a.cbf", "a", "a.xyz"])
def test_other_formats_say_so(convert, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not supported yet") as caught:
        convert(data_file=str(tmp_path / name))
    assert caught.value.exit_code == 2


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
    with pytest.raises(FormatError, match="exchange: no dataset of this name; there is exchange/data"):
        convert(data_file=str(path), data_location="exchange")


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
        conversion.run(tmp_path / "none.txt", tmp_path, threads=1)


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
    assert out.splitlines()[-1] == "OutputZipName: sub/folder/scan.h5.analysis.MIDAS.zip"
    assert err == ""
    with Archive("sub/folder/scan.h5.analysis.MIDAS.zip") as archive:
        assert archive.parameters["preProcThresh"] == 4 and archive.parameters["NrPixelsY"] == 10
        assert archive.dataset(f"{ANALYSIS}omegaStep").read().tolist() == [0.5]
    for wrong, code in ((["-dataFN", "scan.ge3"], 2), (["-dataFN", "none.h5"], 1), (["-dataLoc", "none"], 1)):
        assert run("ff-convert", [*arguments, *wrong]) == code
        out, err = capsys.readouterr()
        assert err.startswith("ff-convert: ") and err.count("\n") == 1
    assert run("ff-convert", ["-paramFN", "ps.txt"]) == 2


@pytest.mark.golden
def test_the_beginning_of_the_ruby_scan(convert, shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "golden" / "ruby" / "mruby_ff1.npz") as full:
        kept = {k: full[k] for k in ("shape", "dtype")} | {"nframes": 12, "omega": full["omega"][:12]}
        frames = {f"{i}_{part}": full[f"{i}_{part}"] for i in range(12) for part in ("row", "col", "data")}
    np.savez(tmp_path / "ruby.npz", **kept, **frames)
    text = (shared / "golden" / "ruby" / "ruby_ff1.txt").read_text()
    with convert(text, data_file=str(tmp_path / "ruby.npz")) as archive:
        assert archive.frames.shape == (12, 3888, 3072)
        assert archive.dataset(f"{SCAN}omegaCenter") is None
        np.testing.assert_array_equal(archive.omegas, 0.25 * np.arange(12))
        for i in (0, 11):
            frame = archive.frames[i]
            rows, columns, values = (frames[f"{i}_{part}"] for part in ("row", "col", "data"))
            np.testing.assert_array_equal(frame[rows, columns], values)
            assert np.count_nonzero(frame) == np.count_nonzero(values)
