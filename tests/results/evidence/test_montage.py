"""Raw pixels of the spots of grains."""

from __future__ import annotations

import shutil
from pathlib import Path

import many_grains
import numpy as np
import pytest

from midas.archive import DATA, Archive, ArchiveWriter, update
from midas.experiment.corrected_frames import CorrectedFrames
from midas.results.evidence import grains_to_show, montage
from midas.results.evidence.montage import unpacked
from midas.results.evidence.predicted import MISSING, parameters_of
from midas.results.reading import Results, read_results
from midas.runtime.errors import StageError


def maxima(shown: object) -> tuple[np.ndarray, np.ndarray]:
    """Where the largest count of each spot lies, y and z, px."""
    largest = np.nan_to_num(shown.counts, nan=-1).max(axis=1)
    z, y = np.divmod(largest.reshape(len(largest), -1).argmax(axis=1), largest.shape[2])
    return y + shown.y_first, z + shown.z_first


def test_spots_are_where_they_should_be(results: Results) -> None:
    """Small windows, so that no neighbour is brighter."""
    shown = montage(results, range(len(results)), side=9, threads=2)
    seen = shown.spots["spot_id"] >= 0
    assert seen.sum() >= 8 * len(results)
    y, z = maxima(shown)
    off = np.hypot(y - shown.spots["y_observed"], z - shown.spots["z_observed"])[seen]
    assert (off < 1.0).mean() > 0.98
    brightest = np.nan_to_num(shown.counts, nan=-1).max(axis=(2, 3)).argmax(axis=1)
    assert (abs(brightest[seen] - shown.counts.shape[1] // 2) <= 1).all()


def test_counts_are_those_of_the_frames(results: Results) -> None:
    shown = montage(results, [0], spots=3, side=11)
    assert results.layer is not None and results.archive is not None
    parameters, _ = parameters_of(results.layer)
    with Archive(results.archive) as archive:
        frames = CorrectedFrames.of(archive, parameters)
        raw = {int(f): archive.frames[int(f) + parameters["SkipFrame"]] for f in np.unique(shown.frames) if f >= 0}
        numbers = frames.numbers
        omegas = frames.omegas
    for k in range(len(shown)):
        for d, frame in enumerate(shown.frames[k].tolist()):
            if frame < 0:
                assert np.isnan(shown.counts[k, d]).all() and np.isnan(shown.omegas[k, d])
                continue
            assert shown.omegas[k, d] == omegas[frame]
            for z, y in ((0, 0), (5, 5), (10, 3)):
                place = y + shown.y_first[k], z + shown.z_first[k]
                inside = all(0 <= p < len(numbers) for p in place)
                expected = raw[frame].ravel()[numbers[place]] if inside else np.nan
                assert np.array_equal(shown.counts[k, d, z, y], np.float32(expected), equal_nan=True)


@pytest.mark.parametrize("operations", [("1",), ("2",), ("3",), ("1", "3")])
def test_image_transformations_are_those_of_the_peak_search(
    layer_folder: Path, tmp_path: Path, operations: tuple[str, ...]
) -> None:
    """The spots of a layer whose frames are stored turned are in the same windows."""
    folder = Path(shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True))
    plain = montage(read_results(layer_folder), [0, 1], spots=4)
    archive = next(folder.glob("*.MIDAS.zip"))
    turned = tmp_path / "turned"
    store_turned(archive, turned, operations)
    archive.unlink()
    shutil.move(turned, archive)
    update.update(archive, "ImTransOpt", list(operations))
    found = montage(read_results(folder), [0, 1], spots=4)
    assert np.array_equal(found.counts, plain.counts, equal_nan=True)
    assert np.nanmax(found.counts) > 0


def test_a_scan_that_turns_back_behind_a_dark_frame(layer_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True))
    plain = montage(read_results(layer_folder), [0, 1], spots=4)
    archive = next(folder.glob("*.MIDAS.zip"))
    with Archive(archive) as opened:
        frames, omegas, parameters = np.array(list(opened.frames)), opened.omegas, opened.parameters
    step = float(omegas[1] - omegas[0])
    back = parameters.changed(OmegaStart=float(omegas[-1]), OmegaStep=-step, SkipFrame=1)
    with ArchiveWriter(tmp_path / "back", (len(frames) + 1, *frames.shape[1:]), frames.dtype, threads=1) as out:
        every = np.concatenate([frames[:1] * 0 + 7, frames[::-1]])
        out.add_compressed(DATA, every.shape, (out.compress(frame) for frame in every))
        out.add_parameters(back)
    archive.unlink()
    shutil.move(tmp_path / "back", archive)
    found = montage(read_results(folder), [0, 1], spots=4)
    assert np.array_equal(found.counts, plain.counts, equal_nan=True)
    assert np.allclose(found.omegas, plain.omegas)
    assert np.array_equal(found.frames[found.frames >= 0], len(omegas) - 1 - plain.frames[plain.frames >= 0])


def store_turned(source: Path, target: Path, operations: tuple[str, ...]) -> None:
    """The same archive with frames that the operations turn back."""
    with Archive(source) as opened:
        frames = np.array(list(opened.frames))
        for operation in reversed(operations):
            frames = {"1": frames[:, :, ::-1], "2": frames[:, ::-1], "3": frames.swapaxes(1, 2)}[operation]
        with ArchiveWriter(target, frames.shape, frames.dtype, threads=1) as out:
            out.add_compressed(DATA, frames.shape, (out.compress(np.ascontiguousarray(frame)) for frame in frames))
            out.add_parameters(opened.parameters)


def test_frames_are_limited_and_spots_in_the_same_frames_are_free(results: Results) -> None:
    rows = range(len(results))
    few, many = (montage(results, rows, spots=30, most_frames=most) for most in (40, 10_000))
    assert few.read <= 40 < many.read
    assert few.read == len(np.unique(few.frames[few.frames >= 0]))
    for grain in results:
        assert 1 <= len(few.grain(grain.id)) <= len(many.grain(grain.id)) <= 30
    # A spot that lies in the frames of the others does not need any of its own.
    assert len(few) * few.frames.shape[1] > few.read


def test_missing_spots_are_shown_too(tmp_path: Path) -> None:
    results = read_results(many_grains.write(tmp_path / "layer", 12).layer.folder)
    rows = grains_to_show(results, 12)
    shown = montage(results, rows, spots=8)
    missing = shown.spots["state"] == MISSING
    assert 0 < missing.sum() < len(shown) / 2
    assert np.nanmax(shown.counts) == 0  # the frames are empty
    codes, peaks = shown.packed()
    assert (peaks == 0).all() and set(np.unique(codes).tolist()) <= {0, 1}


def test_packing_keeps_counts(results: Results) -> None:
    shown = montage(results, [0, 2], spots=5)
    codes, peaks = shown.packed()
    assert codes.dtype == np.uint8 and codes.nbytes == shown.counts.size
    back = unpacked(codes, peaks)
    assert np.array_equal(np.isnan(back), np.isnan(shown.counts))
    scale = np.broadcast_to(peaks[:, None, None, None], back.shape)
    known = np.isfinite(back)
    counts = np.clip(shown.counts[known], 0, None)
    # Half a step of the square root.
    assert (abs(np.sqrt(back[known]) - np.sqrt(counts)) <= 0.51 / 254 * np.sqrt(scale[known])).all()


def test_windows_reach_beyond_the_frame(results: Results) -> None:
    shown = montage(results, [0], side=255, spots=1)
    size = 256
    y = shown.y_first[0] + np.arange(255)
    z = shown.z_first[0] + np.arange(255)
    outside = (y < 0) | (y >= size) | ((z < 0) | (z >= size))[:, None]
    middle = shown.counts[0, 2]
    assert outside.any() and np.array_equal(np.isnan(middle), outside)


def test_without_the_archive(layer_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True))
    next(folder.glob("*.MIDAS.zip")).unlink()
    with pytest.raises(StageError, match="has no archive; the pixels of spots are in its frames"):
        montage(read_results(folder), [0])


def test_no_grains_no_pixels(tmp_path: Path) -> None:
    results = read_results(many_grains.write(tmp_path / "none", 0).layer.folder)
    assert len(grains_to_show(results)) == 0
    shown = montage(results, [])
    assert len(shown) == shown.read == 0 and shown.packed()[0].shape == (0, 5, 25, 25)


def test_which_grains_are_shown(tmp_path: Path) -> None:
    results = read_results(many_grains.write(tmp_path / "layer", 60).layer.folder)
    rows = grains_to_show(results, 12)
    assert len(set(rows.tolist())) == 12
    radius, completeness = results.grains["radius"], results.grains["completeness"]
    assert set(np.argsort(-radius)[:4].tolist()) <= set(rows.tolist())
    assert completeness[rows].min() == completeness.min()
    assert np.ptp(np.argsort(np.argsort(radius))[rows]) > 40
    assert np.array_equal(grains_to_show(results, 100), np.argsort(-radius, kind="stable"))
