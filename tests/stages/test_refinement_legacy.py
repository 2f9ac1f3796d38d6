"""The refinement stage on the legacy runs, against their results and the simulated truth."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_grains import reciprocal_basis

from midas.experiment.orientation import matrices_from_quaternions, nearest_rotations, symmetry_operators
from midas.formats.layer import Layer
from midas.formats.refined import RefinedSeeds, read_refined
from midas.parameters import Parameters
from midas.pipeline.layers import FinishedLayer
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages import refinement

from .indexed_layer import FILES, contents

INPUTS = ("hkls.csv", "SpotsToIndex.csv", "paramstest.txt", "ExtraInfo.bin")


def run(folder: Path, *, comm: Communicator = SERIAL, threads: int = 1, **changes: object) -> StageResult:
    parameters = Parameters.read(folder / "paramstest.txt", "paramstest")
    parameters = parameters.changed(WedgeModel="legacy", TiltModel="legacy", **changes)
    return refinement.run(Layer(folder), parameters, threads=threads, comm=comm)


def inputs_of(source: Path, folder: Path) -> Path:
    """The folder, with a legacy run as it stood before its refinement."""
    for file in INPUTS:
        shutil.copy(source / file, folder)
    (folder / "Output").mkdir()
    for file in ("IndexBest.bin", "IndexBestFull.bin"):
        os.link(source / "Output" / file, folder / "Output" / file)
    return folder


@pytest.fixture
def inputs(golden: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """``inputs("au3")``: a folder with a legacy run as it stood before its refinement."""
    return lambda name: inputs_of(golden(name), tmp_path)


@dataclass
class Differences:
    """Of records and legacy records: µm, degrees, Å, degrees, and ratios of the mean errors."""

    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    lengths: NDArray[np.float64]
    angles: NDArray[np.float64]
    errors: NDArray[np.float64]

    @classmethod
    def between(cls, ours: NDArray, theirs: NDArray) -> Differences:
        cell = np.abs(ours["cell"] - theirs["cell"])
        return cls(
            np.linalg.norm(ours["position"] - theirs["position"], axis=1),
            np.degrees(np.linalg.norm(ours["orientation"] - theirs["orientation"], axis=1) / np.sqrt(2)),
            cell[:, :3],
            cell[:, 3:],
            np.stack([ours[name] / theirs[name] for name in ("diff_pos", "diff_ome", "diff_angle")], axis=1),
        )


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", *(pytest.param(name, marks=pytest.mark.long) for name in ("ds1", "ds2"))])
def test_staged_equals_legacy(
    name: str, golden: Callable[[str], Path], legacy_chain: Callable[[str], FinishedLayer]
) -> None:
    layer = legacy_chain(name).layer
    folder, seeds = layer.folder, len((golden(name) / "SpotsToIndex.csv").read_text().splitlines())
    result, legacy = read_refined(layer, seeds), read_refined(Layer(golden(name)), seeds)
    for file in FILES:
        assert (folder / file).stat().st_size == (golden(name) / file).stat().st_size
    for file in ("Results/Key.bin", "Results/ProcessKey.bin"):
        assert (folder / file).read_bytes() == (golden(name) / file).read_bytes()
    solved = result.key[:, 0] > 0
    ours, theirs = result.orient_pos_fit[solved], legacy.orient_pos_fit[solved]
    for field in ("id", "id_position", "id_cell", "id_errors", "completeness"):
        assert (ours[field] == theirs[field]).all()
    assert ours["grain_radius"] == pytest.approx(theirs["grain_radius"], abs=1e-9)
    d = Differences.between(ours, theirs)
    assert np.median(d.position) < 1 and d.position.max() < 2
    assert d.orientation.max() < 0.002
    # Thousands of simplex steps are the same, but where the last bit of another libm decides otherwise.
    same = (d.position < 1e-6) & (d.orientation < 1e-9) & (d.lengths.max(axis=1) < 1e-9)
    assert same.mean() > 0.75
    assert d.lengths.max() < 3e-3 and d.angles.max() < 0.1
    assert np.abs(d.errors - 1).max(axis=0) == pytest.approx(0, abs=0.06)
    spots, legacy_spots = (refined.fit_rows(range(seeds)) for refined in (result, legacy))
    for field in ("spot_id", "y_ideal", "z_ideal", "omega_ideal", "omega_recorded", "y_plane", "z_plane"):
        assert (spots[field] == legacy_spots[field]).all()


@pytest.fixture(scope="module")
def converged(golden: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RefinedSeeds]:
    """The converged refinement of a legacy run, made once."""

    @cache
    def refined(name: str) -> RefinedSeeds:
        return run(inputs_of(golden(name), tmp_path_factory.mktemp(name)), RefineMethod="converged", threads=2).data

    return refined


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_converged_follows_legacy(
    name: str, golden: Callable[[str], Path], converged: Callable[[str], RefinedSeeds]
) -> None:
    """The legacy minimiser stops short in a few per cent of these rows; the median tells the sequence is the same."""
    result = converged(name)
    legacy = read_refined(Layer(golden(name)), len(result.key))
    assert (result.key[:, 0] == legacy.key[:, 0]).all()
    # Spots that the legacy program lost (docs/differences.md#refinement) come on top.
    assert (result.key[:, 1] >= legacy.key[:, 1]).all()
    same = (result.key[:, 1] == legacy.key[:, 1]) & (result.key[:, 0] > 0)
    assert same.mean() > 0.9
    for row in np.flatnonzero(same):
        ours, theirs = (s.spot_ids[s.offsets[row] : s.offsets[row + 1]] for s in (result, legacy))
        assert ours.tolist() == theirs.tolist()
    d = Differences.between(result.orient_pos_fit[same], legacy.orient_pos_fit[same])
    assert (np.quantile(d.position, [0.5, 0.9]) < [0.6, 1.2]).all()
    assert (np.quantile(d.orientation, [0.5, 0.9]) < [0.002, 0.004]).all()
    assert np.median(d.errors[:, 0]) == pytest.approx(1, abs=0.01)


def cell_converged(folder: Path, legacy: RefinedSeeds) -> NDArray[np.float64]:
    """Mean distances after fitting nothing but the cell at the legacy positions and orientations, over the legacy's."""
    best = np.fromfile(folder / "Output" / "IndexBest.bin").reshape(-1, 15)
    best[:, 1:10], best[:, 10:13] = legacy.column("orientation"), legacy.column("position")
    (folder / "Output" / "IndexBest.bin").unlink()  # a link to the golden file
    best.tofile(folder / "Output" / "IndexBest.bin")
    tracked = run(folder, RefineMethod="converged", GrainsFile="seeds", threads=2).data
    return tracked.column("diff_pos") / np.where(legacy.column("diff_pos") > 0, legacy.column("diff_pos"), np.nan)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_converged_equals_legacy_where_the_legacy_fit_had_converged(
    name: str, golden: Callable[[str], Path], inputs: Callable[[str], Path], converged: Callable[[str], RefinedSeeds]
) -> None:
    """Its minimiser adds up Å and degrees when it asks whether to stop, and leaves the cell short of the minimum.

    In up to a tenth of the rows its own objective falls by more than 5 % (at most by 90 %) when only its cell is fitted
    to the end; in all others the positions agree.
    """
    legacy = read_refined(Layer(golden(name)), len(np.fromfile(golden(name) / "Results" / "Key.bin", "<i4")) // 2)
    result = converged(name)
    same = (result.key == legacy.key).all(axis=1) & (result.key[:, 0] > 0)
    at_minimum = same & (cell_converged(inputs(name), legacy) > 0.95)
    assert at_minimum.sum() > 0.85 * same.sum()
    d = Differences.between(result.orient_pos_fit[at_minimum], legacy.orient_pos_fit[at_minimum])
    assert np.median(d.position) < 1
    assert d.position.max() < 2


@pytest.mark.golden
def test_joint_within_the_tolerances(golden: Callable[[str], Path], inputs: Callable[[str], Path]) -> None:
    result = run(inputs("au3")).data
    legacy = read_refined(Layer(golden("au3")), 18)
    assert (result.key == legacy.key).all()
    assert (result.spot_ids == legacy.spot_ids).all()
    d = Differences.between(result.orient_pos_fit, legacy.orient_pos_fit)
    assert d.position.max() < 10
    assert d.orientation.max() < 0.03
    assert d.lengths.max() < 1e-3 and d.angles.max() < 0.02
    assert d.errors[:, 0].max() < 1.01
    assert np.abs(d.errors[:, 1:] - 1).max() < 0.06


@dataclass
class Truth:
    """Position error (µm), rotation vector (degrees) and strain of the representative seed of each true grain."""

    position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    strain: NDArray[np.float64]


def against_truth(folder: Path, refined: RefinedSeeds, step: float, space_group: int) -> Truth:
    """Lattices modulo symmetry; the whole truth turned by half a step, positions too.

    See docs/theory/simulation.md#half-step-rule.
    """
    table = np.genfromtxt(folder / "GrainsSim.csv", skip_header=9)[:, :19]
    c, s = np.cos(np.radians(step / 2)), np.sin(np.radians(step / 2))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    positions = table[:, 10:13] @ turn.T
    true = turn @ nearest_rotations(table[:, 1:10].reshape(-1, 3, 3)) @ lattices(table[:, 13:19])
    nominal = Parameters.read(folder / "paramstest.txt", "paramstest")["LatticeParameter"]
    a0 = lattices(np.array([nominal]))[0]
    symmetry = np.linalg.inv(a0) @ matrices_from_quaternions(symmetry_operators(space_group)) @ a0
    records = refined.orient_pos_fit[refined.key[:, 0] > 0]
    found = records["orientation"].reshape(-1, 3, 3) @ lattices(records["cell"])
    rows, grains = np.nonzero(np.linalg.norm(records["position"][:, None] - positions, axis=-1) < 100)
    x = found[rows, None] @ symmetry @ np.linalg.inv(true)[grains, None]
    left, _, right = np.linalg.svd(x)
    cosine = (np.trace(left @ right, axis1=-2, axis2=-1) * np.sign(np.linalg.det(left @ right)) - 1) / 2
    best = (np.arange(len(rows)), cosine.argmax(axis=-1))
    x, rotation, angle = x[best], (left @ right)[best], np.degrees(np.arccos(np.clip(cosine[best], -1, 1)))
    distance = np.linalg.norm(records["position"][rows] - positions[grains], axis=-1)
    mismatch = np.where(angle < 1, angle / 0.1 + distance / 50, np.inf)
    owners = {row: np.flatnonzero(rows == row)[mismatch[rows == row].argmin()] for row in np.unique(rows)}
    out = []
    for grain in range(len(true)):
        pair = min((p for p in owners.values() if grains[p] == grain), key=lambda p: records["diff_angle"][rows[p]])
        r = rotation[pair]
        vector = np.degrees([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]]) / 2
        out.append([distance[pair], *vector, *(r.T @ x[pair] - np.eye(3))[np.triu_indices(3)]])
    result = np.array(out)
    return Truth(result[:, 0], result[:, 1:4], result[:, 4:])


def lattices(cells: NDArray) -> NDArray[np.float64]:
    return np.array([np.linalg.inv(reciprocal_basis(cell)).T for cell in cells])


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "step", "space_group", "position", "strain"),
    [("au3", -0.25, 225, 4.6, 87e-6), ("ds1", 0.5, 225, 1.8, 133e-6), ("ds2", 0.5, 194, 1.4, 137e-6)],
)
def test_joint_is_nearer_to_the_truth_than_legacy(
    name: str, step: float, space_group: int, position: float, strain: float,
    golden: Callable[[str], Path], inputs: Callable[[str], Path],
) -> None:  # fmt: skip
    """The figures of the legacy chain are those of docs/theory/simulation.md#what-the-analysis-reaches."""
    refined = run(inputs(name), threads=2).data
    truth = against_truth(golden(name), refined, step, space_group)
    assert np.median(truth.position) < 0.25 * position
    assert np.sqrt((truth.strain**2).mean()) < 0.5 * strain
    # About z the omegas of single frames decide.
    assert np.abs(truth.rotation[:, :2]).max() < 0.012 and np.median(np.abs(truth.rotation[:, :2])) < 0.001
    if name == "au3":  # docs/theory/refinement.md#checks-on-a-result
        assert (np.sort(truth.position) < [1, 1, 5]).all()


@pytest.mark.golden
def test_files_read_back_and_do_not_depend_on_the_members(inputs: Callable[[str], Path]) -> None:
    folder = inputs("au3")
    whole = run(folder).data
    expected = contents(folder)
    back = read_refined(Layer(folder), len(whole.key))
    assert (back.key == whole.key).all()
    assert (back.orient_pos_fit == whole.orient_pos_fit).all()
    assert (back.spot_ids == whole.spot_ids).all()
    assert (back.fit_rows(range(len(back.key))) == whole.fit_best).all()
    for size, order in ((3, (2, 0, 1)), (40, range(40))):
        for name in FILES:
            (folder / name).unlink()
        parts = [run(folder, comm=Communicator(rank, size), threads=2).data for rank in order]
        assert contents(folder) == expected
        assert sum(len(part.key) for part in parts) == len(whole.key)
