"""Three ruby spheres on either detector of a real experiment: spots measured on the frames, half of them saturated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import midas
from midas.archive import Archive
from midas.experiment.orientation import (
    matrices_from_euler,
    misorientation,
    nearest_rotations,
    quaternions_from_matrices,
    symmetry_operators,
)
from midas.formats.grains import GRAINS, ORIENTATION, POSITION
from midas.formats.layer import Layer
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.table import Table
from midas.pipeline.layers import FinishedLayer
from midas.stages.grains import pull

from .test_ruby import PUBLISHED, SPACE_GROUP

pytestmark = [pytest.mark.golden, pytest.mark.long]

#: reflections of a grain that each detector can see
EXPECTED = 48


class Analysis(NamedTuple):
    layer: Layer
    grains: Table
    spots: Table
    log: str


@pytest.fixture(scope="module", params=[1, 2], ids=["detector 1", "detector 2"])
def analysis(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder, data = tmp_path_factory.mktemp("ruby"), shared / "golden" / "ruby"
    parameters = folder / f"ruby_ff{request.param}.txt"
    parameters.write_text((data / parameters.name).read_text() + "\nWedgeModel legacy\n")
    done: FinishedLayer = midas.run(
        parameter_file=parameters, data_file=data / f"mruby_ff{request.param}.npz", result_folder=folder, threads=2,
        measure_spots=1,
    ).data[0]  # fmt: skip
    assert done.grains is not None
    spots = SPOTS_MEASURED.read(done.layer.spots_measured)
    return Analysis(done.layer, done.grains, spots, (done.layer.logs / "measure_spots_out.csv").read_text())


def partners(grains: Table) -> np.ndarray:
    """The row of each published grain."""
    u = np.stack([grains[name] for name in ORIENTATION], axis=1).reshape(-1, 3, 3)
    published, found = (
        quaternions_from_matrices(nearest_rotations(matrices)) for matrices in (PUBLISHED[:, :9].reshape(-1, 3, 3), u)
    )
    angles = misorientation(published[:, None], found[None, :], symmetry_operators(SPACE_GROUP))
    assert angles.min(axis=1).max() < 0.12
    return np.asarray(angles.argmin(axis=1))


def places(grains: Table) -> np.ndarray:
    return np.stack([grains[name] for name in POSITION], axis=1)


def test_nearly_every_reflection_has_a_spot(analysis: Analysis) -> None:
    counts = np.bincount(analysis.spots.integers("GrainID"))[analysis.grains.integers("GrainID")]
    print("spots", counts, "saturated", int(analysis.spots["Saturated"].sum()))
    assert len(analysis.grains) == 3
    assert counts.min() >= 46 and counts.max() <= EXPECTED


def test_places_relative_to_each_other(analysis: Analysis) -> None:
    """Against the published ones; where the origin is, is a matter of each analysis."""
    apart = places(analysis.grains)[partners(analysis.grains)] - PUBLISHED[:, 9:]
    relative = apart - apart.mean(axis=0)
    rms = np.sqrt((relative**2).sum(axis=1).mean())
    print("relative", rms.round(2), "common shift", apart.mean(axis=0).round(1))
    assert rms < 6


def test_chance(analysis: Analysis) -> None:
    found = re.search(r"Chance level: (\S+) of the boxes", analysis.log)
    assert found is not None and float(found[1]) <= 0.02


def test_starts_elsewhere(analysis: Analysis) -> None:
    """100 µm and 0.1 degrees away: the measurement follows the frames, not its own prediction."""
    with Archive(str(analysis.layer.archive)) as archive:
        parameters = archive.parameters
    shifts = 100 * np.array([[1, 2, 2], [-2, 1, 2], [2, -2, 1]]) / 3
    turn = matrices_from_euler(np.radians([[40.0, 0.1, -40.0]]))
    u = turn @ np.stack([analysis.grains[name] for name in ORIENTATION], axis=1).reshape(-1, 3, 3)
    columns = {name: analysis.grains[name].copy() for name in GRAINS.names}
    columns |= dict(zip(ORIENTATION, u.reshape(-1, 9).T, strict=True))
    columns |= dict(zip(POSITION, (places(analysis.grains) + shifts).T, strict=True))
    moved = pull.run(
        analysis.layer, parameters, threads=2, grains=Table.from_columns(GRAINS.names, columns)
    ).data.grains
    distances = np.linalg.norm(places(moved) - places(analysis.grains), axis=1)
    turned = np.degrees(np.max([abs(moved[name] - analysis.grains[name]) for name in ORIENTATION]))
    print("distances", distances.round(2), "turned", turned.round(4))
    assert distances.max() < 3
    assert turned < 0.01
