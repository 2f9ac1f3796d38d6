"""Measured spots that are hard: of two grains in one, and of a grain with a spread of orientations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from midas import simulation
from midas.archive import Archive
from midas.experiment.orientation import matrices_from_euler
from midas.formats.grains import CELL, GRAINS, ORIENTATION, POSITION, SPOT_MATRIX
from midas.formats.layer import Layer
from midas.formats.measured import DEBLENDED
from midas.formats.simulated import GrainList
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.pipeline.layer_run import LayerRun
from midas.pipeline.options import Options
from midas.pipeline.plan import plans
from midas.runtime.parallel import SERIAL
from midas.simulation import samples
from midas.stages import hkls
from midas.stages.grains import pull
from midas.stages.grains.pull import rounds

STEP = 0.5
#: pieces of the third grain, and their standard deviation about each axis, degrees
PIECES, SPREAD = 25, 0.4
VALUES = {
    "NrPixels": 512, "px": 400, "BC": (256, 256), "OmegaStep": STEP, "OmegaSpread": 0.3, "Width": 900,
    "WriteAnalysisZip": 1, "WriteLegacyBins": 0, "WriteSpots": 0, "Noise": "poisson", "RandomSeed": 3,
}  # fmt: skip


def drawn() -> GrainList:
    """Two grains half a degree and 200 µm apart, and another one."""
    grains = samples.Grains(31, 2, samples.FCC, 200, (-80, 80), 1e-3).draw()
    turn = matrices_from_euler(np.radians([[20.0, 0.5, -20.0]]))[0]
    assert grains.cells is not None
    order = [0, 0, 1]
    matrices, positions = grains.matrices[order], grains.positions[order]
    matrices[1] = turn @ matrices[1]
    positions[1] += (120.0, -100.0, 120.0)
    return GrainList(matrices, positions, grains.cells[order])


def in_pieces(grains: GrainList) -> GrainList:
    """The third grain as a mosaic crystal whose mean orientation it is."""
    vectors = np.random.default_rng(32).normal(size=(PIECES, 3))
    vectors = np.radians(SPREAD) * (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    axis = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cross = np.cross(np.eye(3)[None], -axis[:, None])
    turns = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    order = np.array([0] * PIECES + [1] * PIECES + [2] * PIECES)
    matrices = grains.matrices[order]
    matrices[2 * PIECES :] = turns @ matrices[2 * PIECES :]
    assert grains.cells is not None
    return GrainList(matrices, grains.positions[order], grains.cells[order])


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    """The frames, and what the stages before the grains leave that the measurement needs."""
    folder = tmp_path_factory.mktemp("blends")
    with pytest.MonkeyPatch.context() as patch:
        sample = samples.Sample("a pair and a mosaic grain", 225, samples.FCC, drawn, VALUES, in_pieces)
        patch.setitem(samples.SAMPLES, "blends", sample)
        parameters = samples.write("blends", folder)
    archive = simulation.run(parameters, threads=1, folder=folder).data.archive
    options = Options(
        parameter_file=parameters, data_file=archive, result_folder=folder, threads=1, convert=False
    ).checked()
    run = LayerRun(options, plans(options)[0], SERIAL)
    reflections = run.steps.serial("hkls", lambda: hkls.run(run.layer, run.parameters))
    run.search(reflections)
    run.setup(reflections)
    yield run.layer


def true_grains(rows: list[int]) -> Table:
    """The true grains in the frame of the analysis: frames are named by the angle at which they begin."""
    grains, turn = drawn(), matrices_from_euler(np.radians([[STEP / 2, 0.0, 0.0]]))[0]
    columns = {name: np.zeros(len(rows)) for name in GRAINS.names}
    columns["GrainID"] = np.array(rows) + 1.0
    groups = (
        (ORIENTATION, (turn @ grains.matrices).reshape(-1, 9)), (POSITION, grains.positions @ turn.T),
        (CELL, grains.cells),
    )  # fmt: skip
    for names, values in groups:
        columns |= dict(zip(names, np.asarray(values)[rows].T, strict=True))
    return Table.from_columns(GRAINS.names, columns)


def measured(layer: Layer, start: Table) -> pull.PullTables:
    with Archive(str(layer.archive)) as archive:
        parameters = archive.parameters
    no_spots = Table.from_columns(SPOT_MATRIX.names, {name: np.empty(0) for name in SPOT_MATRIX.names})
    return pull.run(layer, parameters, threads=1, grains=start, spot_matrix=no_spots).data


def errors(grains: Table, true: Table) -> np.ndarray:
    """Distances of the grains from where they are, µm."""
    return np.linalg.norm([grains[name] - true[name] for name in POSITION], axis=0)


def test_spots_of_two_grains(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told apart they give both grains; the halves of boxes that are cut between them do not."""
    true = true_grains([0, 1])
    apart = measured(layer, true)
    assert (apart.spots["Source"] == DEBLENDED).mean() > 0.5
    assert errors(apart.grains, true).max() < 15
    monkeypatch.setattr(rounds, "usual_widths", lambda *_: None)
    cut = measured(layer, true)
    assert not cut.spots["Source"].any()
    assert errors(cut.grains, true).min() > 2 * errors(apart.grains, true).max()


def test_mosaic_grain(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Boxes as wide as the spread give the mean orientation, the place, the cell, and the spread itself."""
    true = true_grains([2])
    text = layer.paramstest.read_text()
    of_setup = Parameters.parse(f"{text}GrainMerging mosaic\nMosaicTolerance 1.5\n", "p.txt", "paramstest")
    monkeypatch.setattr(Parameters, "read", lambda *_, **__: of_setup)
    found = measured(layer, true)
    assert errors(found.grains, true).max() < 15
    for name in "abc":
        np.testing.assert_allclose(found.grains[name], true[name], rtol=1e-4)
    turned = np.degrees(np.max([abs(found.grains[name] - true[name]) for name in ORIENTATION]))
    assert turned < 0.03
