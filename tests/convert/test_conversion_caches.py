"""Sparse frame caches and older archives as raw files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from midas.archive import DATA, FLOOD, ArchiveWriter, set_dataset
from midas.parameters import ANALYSIS, SCAN
from midas.runtime.errors import FormatError

from .raw_files import BASE, all_of, pixels, write_sparse

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
        (
            {"3_row": [1], "3_col": [1], "3_data": [np.nan]},
            "3_data: nan (of 1 such): must hold finite numbers",
        ),
        ({"3_row": [1], "3_col": [1], "3_data": [1e308]}, "3_data: 1e+308 (of 1 such): must hold finite numbers"),
        ({"3_row": [1], "3_col": [1], "3_data": [-1]}, "3_data: -1 (of 1 such): must hold finite numbers"),
        ({"3_row": [1, 2], "3_col": [1, 2], "3_data": [70000, 9]}, "3_data: 70000 (of 1 such): must hold finite"),
        ({"dtype": "<i4", "3_row": [1], "3_col": [1], "3_data": [2.0**31]}, "pixels of type int32"),
        ({"dtype": "<f4", "3_row": [1], "3_col": [1], "3_data": [1e39]}, "pixels of type float32"),
        ({"dtype": "<f4", "3_row": [1], "3_col": [1], "3_data": [np.inf]}, "pixels of type float32"),
        ({"omega": np.zeros((3, 2))}, "omega: must hold start and end of 4 frames"),
        ({"omega": np.full((4, 2), np.nan)}, "omega"),
        ({"shape": np.array(["a", "b"])}, "frames of shape"),
        ({"shape": np.array([1j, 2])}, "frames of shape"),
        ({"nframes": np.array([np.nan])}, "has [nan] frames of shape"),
        ({"dtype": np.array([], "S6")}, "dtype: names no type of pixels: ''"),
        ({"dtype": "(2"}, "dtype: names no type of pixels: '(2'"),
        ({"dtype": "2)"}, "dtype: names no type of pixels: '2)'"),
        ({"dtype": "i4,i4"}, "dtype: names no type of pixels"),
        ({"dtype": "object"}, "pixels of type object"),
        ({"1_data": np.array([b"x"]), "1_row": np.array([1]), "1_col": np.array([1])}, "1_data: holds pixels of type"),
        ({"1_data": np.array([1j]), "1_row": np.array([1]), "1_col": np.array([1])}, "1_data: holds pixels of type"),
        ({"shape": np.array([12, 10], object)}, "shape: holds Python objects, which are never read"),
    ],
)
def test_caches_that_are_none(convert, tmp_path: Path, changes: dict, reason: str) -> None:
    path = write_sparse(tmp_path / "scan.npz", pixels(), np.arange(4.0), **changes)
    with pytest.raises(FormatError) as caught:
        convert(data_file=str(path))
    assert reason in str(caught.value) and caught.value.file == str(path)
    out = tmp_path / "out"
    assert not out.exists() or not list(out.iterdir())


def _member(path: Path, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> None:
    """Replace a member of a cache by any bytes."""
    with zipfile.ZipFile(path) as source:
        members = {n: source.read(n) for n in source.namelist()} | {name: content}
    with zipfile.ZipFile(path, "w") as target:
        for n, c in members.items():
            target.writestr(n, c, method if n == name else zipfile.ZIP_STORED)


def _header(text: str) -> bytes:
    """An array file of NumPy with that header and no content."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no array", "shape: is no array"),
        (b"", "shape: is no array"),
        (_header("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,)}"), "it is damaged"),
        (_header("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"), "shape: holds Python objects"),
        (_header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (2,)}"), "shape: holds Python objects"),
        (_header("__import__('os').mkdir('code has run')"), "a header that describes no array"),
        (_header("(" * 5000), "a header that describes no array"),
    ],
)
def test_members_that_are_no_arrays(
    convert, tmp_path: Path, content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_sparse(tmp_path / "scan.npz", pixels())
    _member(path, "shape.npy", content)
    with pytest.raises(FormatError, match=reason) as caught:
        convert(data_file=str(path))
    assert caught.value.file == str(path) and "\n" not in str(caught.value)
    assert not (tmp_path / "code has run").exists()


def test_members_that_cannot_be_opened(convert, tmp_path: Path) -> None:
    """Encrypted, or of a compression that the standard library does not know."""
    for place, value in ((8, 1), (10, 99)):  # flags and method of a record of the directory
        path = write_sparse(tmp_path / "scan.npz", pixels())
        content = bytearray(path.read_bytes())
        start = content.index(b"PK\1\2")
        content[start + place] = value
        content[content.index(b"PK\3\4") + place - 2] = value
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"cannot be read \("):
            convert(data_file=str(path))


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
