"""The pipeline end to end on simulated samples, against the truth.

See docs/theory/simulation.md#what-the-analysis-reaches.

The limits are fractions of what the legacy programs reach on the same samples, and what has been reached here; the
figures of the run are printed with ``pytest -rP``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from midas import simulation
from midas.formats.layer import Layer
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare, spread, tensor_error
from midas.simulation import samples

#: the default refinement must stay below this part of the legacy errors,
FRACTION = 0.7
#: and within this factor of what it has reached
SLACK = 1.1


@dataclass(frozen=True)
class Errors:
    """Median position error, µm; rms of the lattice strain error, 1e-6."""

    position: float
    strain: float


#: what the legacy programs reach on data that they simulated themselves
LEGACY = {
    "gold": Errors(4.6, 87),
    "ds1": Errors(1.8, 133),
    "ds2": Errors(1.4, 137),
    "ds3": Errors(1.7, 137),
    "ds4n": Errors(2.3, 206),
    "ds4p": Errors(2.8, 226),
}
REACHED = {
    "gold": Errors(0.06, 0.5),
    "ds1": Errors(0.085, 1.80),
    "ds2": Errors(0.070, 2.10),
    "ds3": Errors(0.072, 2.28),
    "ds4n": Errors(0.090, 3.10),
    "ds4p": Errors(0.090, 3.10),
}


def analyse(name: str, folder: Path, **changes: float) -> Comparison:
    """Simulate a sample, run the pipeline on it and compare."""
    sample = samples.SAMPLES[name]
    parameter_file = samples.write(name, folder, WriteAnalysisZip=1, WriteLegacyBins=0, **changes)
    archive = simulation.run(parameter_file, threads=2, folder=folder).data.archive
    files = {"parameter_file": parameter_file, "data_file": archive, "result_folder": folder}
    layers.run(Options(**files, threads=2, convert=False, per_spot_groups=0))
    found = Layer(folder / "LayerNr_1").grains
    step = float(sample.parameters["OmegaStep"])
    return compare(folder / sample.truth_file, found, omega_step=step, turn_positions=True)


@pytest.mark.long
@pytest.mark.parametrize("name", LEGACY)
def test_every_grain_is_found_and_nearer_to_the_truth(name: str, tmp_path: Path) -> None:
    found, legacy, reached = analyse(name, tmp_path), LEGACY[name], REACHED[name]
    position, _, _ = spread(found.distance)
    strain = 1e6 * tensor_error(found.lattice_strain)[0]
    print(f"{name}: position {position:.3f} µm = {position / legacy.position:.3f} x legacy, ", end="")
    print(f"lattice strain {strain:.2f} = {strain / legacy.strain:.3f} x legacy")
    assert found.recovered == found.true_count
    assert found.spurious == 0
    assert position <= min(FRACTION * legacy.position, SLACK * reached.position)
    assert strain <= min(FRACTION * legacy.strain, SLACK * reached.strain)


@pytest.mark.long
@pytest.mark.parametrize("wedge", [0.5, 2.0, -2.0])
def test_a_large_wedge_costs_nothing(wedge: float, tmp_path: Path) -> None:
    """See docs/theory/wedge.md#what-the-exact-model-reaches."""
    found = analyse("ds2", tmp_path, Wedge=wedge)
    position, strain = spread(found.distance)[0], 1e6 * tensor_error(found.lattice_strain)[0]
    print(f"ds2, wedge {wedge}: position {position:.3f} µm, lattice strain {strain:.2f}")
    assert (found.recovered, found.spurious) == (found.true_count, 0)
    assert position <= 1.5 * REACHED["ds2"].position
    assert strain <= 1.5 * REACHED["ds2"].strain


@pytest.mark.long
def test_mosaic_grains_merged_by_pixels(tmp_path: Path) -> None:
    """DS5b: the sixteen isolated grains are found, the near-duplicates leave at most four that are nobody's."""
    found = analyse("ds5b", tmp_path)
    isolated = found.take(range(16))
    print(f"ds5b: {found.recovered} of {found.true_count}, {found.spurious} spurious, ", end="")
    print(f"isolated: position {spread(isolated.distance)[0]:.2f} µm")
    assert isolated.recovered == 16
    assert found.spurious <= 4


@pytest.mark.long
def test_noise_and_background(tmp_path: Path) -> None:
    """DS1 with spots over several frames, background and Poisson noise: all grains, at most twice the errors of DS1."""
    found = analyse("ds1n", tmp_path)
    position, _, _ = spread(found.distance)
    print(f"ds1n: position {position:.2f} µm, {found.recovered} of {found.true_count}, {found.spurious} spurious")
    assert found.recovered == found.true_count
    assert found.spurious == 0
    assert position <= 2 * LEGACY["ds1"].position
    assert abs(found.rotation.mean(axis=0)[2]) < 0.01  # the half-step rule holds
