"""Dark frames and threshold of a scan that is converted."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.convert.dark import DarkCorrection
from midas.parameters import ANALYSIS
from midas.runtime.errors import FormatError

from .raw_files import BASE, all_of, pixels, write_hdf5

# Dark and threshold


def reference_correction(frames: np.ndarray, dark: np.ndarray, threshold: int) -> np.ndarray:
    """One pixel after the other (docs/theory/archive.md#subtraction-of-the-dark)."""
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


def test_dark_files(convert, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames, dark = pixels(), pixels((2, 12, 10), 4)
    path = write_hdf5(tmp_path / "scan.h5", frames, pixels((1, 12, 10), 9))
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["dark"] = dark.astype(float) + 0.25
    with convert(f"{BASE}\nDark {tmp_path / 'none.h5'}", data_file=str(path), dark_file=str(tmp_path / "dark.h5")) as a:
        np.testing.assert_array_equal(all_of(a.dark), dark)  # in the type of the data, not subtracted
        np.testing.assert_array_equal(all_of(a.frames), frames)
        assert a.dataset(f"{ANALYSIS}darkFN").read().tolist() == [str(tmp_path / "dark.h5").encode()]
    with pytest.raises(FormatError, match=r"none\.h5: is missing"):
        convert(f"{BASE}\nDark {tmp_path / 'none.h5'}", data_file=str(path))
    write_hdf5(tmp_path / "dark.h5", frames)
    with convert(data_file=str(path), dark_file=str(tmp_path / "dark.h5")) as a:  # a scan without beam
        np.testing.assert_array_equal(all_of(a.dark), frames)
    assert "there is no exchange/dark; the frames are those of exchange/data" in caplog.text
    with pytest.raises(FormatError, match=r"dark\.h5: exchange/dark: no dataset of this name, where darkLoc"):
        convert(data_file=str(tmp_path / "dark.h5"), dark_file=str(tmp_path / "dark.h5"))
    write_hdf5(tmp_path / "dark.h5", None, pixels((1, 10, 12)))
    with pytest.raises(FormatError, match=r"dark has frames of \(10, 12\) pixels, the data have \(12, 10\)"):
        convert(data_file=str(path), dark_file=str(tmp_path / "dark.h5"))
