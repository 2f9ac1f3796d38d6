"""What is read of a finished layer folder, and a refinement from one."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from midas.archive import set_datasets
from midas.calibration import geometry_from_grains
from midas.calibration.grains.classes import Classes
from midas.calibration.grains.layers import read_layer
from midas.calibration.grains.pairing import measurement_of, partners_of
from midas.experiment.instrument_numbers import numbers_of
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table
from midas.parameters import ANALYSIS
from midas.runtime.errors import ArchiveError, FormatError, MidasError, StageError

Finished = tuple[Path, CompletedProcess[str]]


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """The layer, to be spoilt."""
    folder = tmp_path / "LayerNr_1"
    shutil.copytree(
        finished[0], folder, ignore=shutil.ignore_patterns("Temp", "Output", "Results", "*.h5", "midas_log")
    )
    return folder


def test_spots_have_their_reflections(finished: Finished) -> None:
    read = read_layer(finished[0])
    spots = read.spots
    assert len(read.grain_ids) == 4
    assert len(spots) > 100
    kernel = spots.kernel(4)
    residuals = kernel.residuals(
        numbers_of(read.detector)[None], np.empty((0, 2)), np.ascontiguousarray(read.ub.reshape(-1, 9)), read.positions
    )
    assert np.median(np.abs(residuals[0])) < 20
    assert np.abs(residuals[:2]).max() < 300
    assert np.abs(residuals[2]).max() < 1
    assert set(np.unique(spots.branch)) == {-1.0, 1.0}
    assert np.isin(spots.ring, read.hkl_ring).all()
    assert spots.frames.min() >= 1
    assert (np.diff(spots.grain) >= 0).all()
    assert len(np.unique(spots.spot_id)) == len(spots)
    assert (read.table.spot_id[:, None] == spots.spot_id[None, :]).any(axis=0).all()


def test_a_refinement_moves_a_wrong_geometry_back(finished: Finished, copy: Path) -> None:
    truth = read_layer(finished[0]).detector
    archive = next(copy.glob("*.MIDAS.zip"))
    moved = {"Lsd": truth.lsd + 500, "YCen": truth.y_bc + 0.5, "tx": truth.tx + 0.05}
    set_datasets(archive, {f"{ANALYSIS}{key}": np.array([value]) for key, value in moved.items()})
    before = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
    result = geometry_from_grains(copy, "Lsd,BC,tx", trust="none")
    assert {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()} == before
    assert result.starts[0].lsd == moved["Lsd"]
    assert result.detector.y_bc == pytest.approx(truth.y_bc, abs=0.05)
    assert result.detector.tx == pytest.approx(truth.tx, abs=0.01)
    assert abs(result.detector.lsd - truth.lsd) < 5 * result.sigma["Lsd"]
    assert result.held_out.radial[0, 1] < result.held_out.radial[0, 0]
    assert result.keys()["BC"] == (result.detector.y_bc, result.detector.z_bc)
    assert set(result.grains.ids[:, 0]) == set(read_layer(copy).grain_ids)


def test_one_layer_twice_is_two_detectors(finished: Finished) -> None:
    read = read_layer(finished[0])
    assert (partners_of(read, read) == np.arange(4)).all()
    both = measurement_of([read, read])
    assert len(both.spots) == 2 * len(read.spots)
    assert both.ids.shape == (4, 2)
    for column in ("h", "k", "l", "branch", "spot_id"):
        first, second = (getattr(both.spots, column)[both.spots.detector == d] for d in (0, 1))
        np.testing.assert_array_equal(first, second)


def test_layers_that_do_not_belong_together(finished: Finished, copy: Path) -> None:
    set_datasets(next(copy.glob("*.MIDAS.zip")), {f"{ANALYSIS}Wavelength": np.array([0.2])})
    with pytest.raises(StageError, match=r"LayerNr_1: Wavelength: 0.2: is another one than in"):
        measurement_of([read_layer(finished[0]), read_layer(copy)])


def test_unfitted_saturated_spots_tell_nothing(copy: Path) -> None:
    spots = read_layer(copy).spots
    ids = np.sort(spots.spot_id[:5])
    rows = np.stack([ids, np.ones(5), np.ones(5), np.ones(5), [1, 0, 1, 0, 0]])
    (copy / "SpotFlags.csv").write_bytes(SPOT_FLAGS.format(Table(SPOT_FLAGS.names, rows)))
    left = read_layer(copy).spots
    assert set(spots.spot_id) - set(left.spot_id) == {ids[0], ids[2]}


def test_a_copy_of_a_grain_is_left_out(copy: Path) -> None:
    read = read_layer(copy)
    lines = (copy / "Grains.csv").read_text().splitlines()
    worse = lines[9].split("\t")
    other = int(worse[0]) + 100_000
    worse[0] = str(other)
    worse[22 + 1] = "0.6"
    (copy / "Grains.csv").write_text("\n".join(["%NumGrains 5", *lines[1:], "\t".join(worse)]) + "\n")
    matrix = (copy / "SpotMatrix.csv").read_text().splitlines()
    first = lines[9].split("\t")[0]
    more = ["\t".join([str(other), *line.split("\t")[1:]]) for line in matrix[1:] if line.split("\t")[0] == first]
    (copy / "SpotMatrix.csv").write_text("\n".join([*matrix, *more]) + "\n")
    again = read_layer(copy)
    assert again.copies.tolist() == [other]
    assert again.grain_ids.tolist() == read.grain_ids.tolist()
    np.testing.assert_array_equal(again.spots.spot_id, read.spots.spot_id)


def test_folders_without_what_is_needed(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="nothing: is no folder"):
        read_layer(tmp_path / "nothing")
    with pytest.raises(ArchiveError, match="holds no archive"):
        read_layer(tmp_path)
    links = copy / "IDRings.csv"
    every = links.read_text()
    links.write_text("".join(every.splitlines(keepends=True)[:-1]))
    with pytest.raises(FormatError, match=r"IDRings.csv: has no line for spot \d+ of this layer"):
        read_layer(copy)
    links.write_text(every)
    with pytest.raises(StageError, match="no grain with confidence >= 2 and 12 spots: nothing to refine from"):
        read_layer(copy, min_confidence=2)
    matrix = copy / "SpotMatrix.csv"
    text = matrix.read_text().splitlines()
    words = text[1].split("\t")
    matrix.write_text("\n".join([text[0], "\t".join(["77", *words[1:]])]) + "\n")
    with pytest.raises(FormatError, match=r"SpotMatrix.csv: names grains that Grains.csv does not have"):
        read_layer(copy)
    matrix.write_text("\n".join([text[0], "\t".join([words[0], "999999", *words[2:]])]) + "\n")
    with pytest.raises(FormatError, match="names spots that the layer does not have"):
        read_layer(copy)
    grains = (copy / "Grains.csv").read_text()
    rows = grains.splitlines()
    bad = rows[9].split("\t")
    bad[13] = "0.0"
    (copy / "Grains.csv").write_text("\n".join([*rows[:9], "\t".join(bad), *rows[10:]]) + "\n")
    matrix.write_text(text[0] + "\n")
    with pytest.raises(FormatError, match=r"Grains.csv, line 10: a ... gamma: 0 .* is no cell: must be six"):
        read_layer(copy)
    (copy / "Grains.csv").write_text(grains)
    with pytest.raises(StageError, match="nothing to refine from"):
        read_layer(copy)
    (copy / "Grains.csv").unlink()
    with pytest.raises(MidasError, match=r"Grains.csv"):
        read_layer(copy)


def test_small_classes_are_joined() -> None:
    ring = np.repeat([1, 2, 3, 4], [100, 30, 20, 5])
    classes = Classes.of(ring, np.ones_like(ring), px=200.0)
    assert classes.spot_names == ("1: ring 1", "1: ring 2 3 4")
    assert classes.omega_names == ("1: frames 0",)
    assert classes.floor[:, 0].tolist() == [1.0, 1.0, 1e-3]
    few = Classes.of(np.repeat([1, 2, 3], [100, 60, 5]), np.ones(165, np.int64))
    assert few.spot_names == ("1: ring 1", "1: ring 2 3")  # the one that is small alone goes with the smallest
