"""The geometry from grains that were found with a wrong one: ``python benchmarks/geometry.py [SET ...]``.

d1: 100 grains; d2: 40 hexagonal ones with tilts, wedge and distortion; d3: three of these over a full turn. All with
background and noise, and with errors of the start of 2 mm, 2 px, 0.3, 0.2 and -0.2 degrees (tx, ty, tz), 0.05 degrees
(wedge) and no distortion. Every figure beside what is required; a figure that misses it ends with MISSED.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from calibration import calibrate, report

from midas import simulation
from midas.archive import set_datasets
from midas.calibration import GeometryResult, geometry_from_grains
from midas.experiment.detector import DetectorGeometry
from midas.formats.grains import CELL, GRAINS, ORIENTATION, POSITION, read_grains
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import ANALYSIS, Parameters
from midas.pipeline import layers
from midas.pipeline.geometry.options import GeometryOptions
from midas.pipeline.geometry.run import run as refine
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare
from midas.simulation import samples

ERRORS = {"Lsd": 2000.0, "YCen": 2.0, "ZCen": -2.0, "tx": 0.3, "ty": 0.2, "tz": -0.2, "Wedge": 0.05}
WIDE = {"MarginRadial": 1500.0, "MarginEta": 1500.0, "Width": 2500.0, "MarginOme": 1.0}
NOISE = {"OmegaSpread": 0.3, "Background": 20, "Noise": "poisson", "RandomSeed": 1}
TURN = {"OmegaStart": -180, "OmegaEnd": 180, "OmegaRange": [(-180, 180)]}


@dataclass(frozen=True)
class Case:
    """A set, and what is required of the median position (µm)."""

    sample: str
    count: int
    position: float
    changes: dict[str, object] = field(default_factory=dict)


SETS = {
    "d1": Case("ds1", 100, 0.6, {"RingThresh": [(ring, 60) for ring in range(1, 6)]}),
    "d2": Case("ds2", 40, 0.7, {"RingThresh": [(ring, 60) for ring in range(1, 6)]}),
    "d3": Case("ds2", 3, 0.4, {"RingThresh": [(ring, 60) for ring in range(1, 6)], **TURN}),
}


def wrong_layer(case: Case, folder: Path, threads: int) -> tuple[Layer, DetectorGeometry]:
    """The layer of a set, analysed with the wrong geometry, and the true one."""
    file = samples.write(case.sample, folder, WriteAnalysisZip=1, WriteLegacyBins=0, **NOISE, **case.changes)
    grains = folder / samples.GRAINS_FILE
    lines = grains.read_text().splitlines()
    grains.write_text("\n".join([f"%NumGrains {case.count}", *lines[1 : 9 + case.count], ""]))
    archive = simulation.run(file, threads=threads, folder=folder).data.archive
    truth = DetectorGeometry.from_parameters(Parameters.read(file))
    right = {"Lsd": truth.lsd, "YCen": truth.y_bc, "ZCen": truth.z_bc}
    right |= {key: getattr(truth, key.lower()) for key in ("tx", "ty", "tz", "Wedge")}
    values = {key: right[key] + error for key, error in ERRORS.items()} | WIDE
    values |= dict.fromkeys(("p0", "p1", "p2", "p3"), 0.0)
    set_datasets(archive, {f"{ANALYSIS}{key}": np.array([value]) for key, value in values.items()})
    done = layers.run(Options(data_file=archive, result_folder=folder, threads=threads, convert=False))
    return done.data[0].layer, truth


def fitted_grains(result: GeometryResult) -> Table:
    """The grains of a fit in the form of Grains.csv."""
    found = result.grains
    columns = {name: np.zeros(len(found.ids)) for name in GRAINS.names}
    columns["GrainID"], columns["Confidence"] = found.ids[:, 0], np.ones(len(found.ids))
    numbers = ((ORIENTATION, found.orientation.reshape(-1, 9)), (POSITION, found.positions), (CELL, found.cell))
    for names, values in numbers:
        columns.update(zip(names, values.T, strict=True))
    return Table.from_columns(GRAINS.names, columns)


def off(pairs: Comparison) -> np.ndarray:
    """Distances from the true positions, the mean height removed, µm."""
    shift = pairs.found_position - pairs.true_position
    shift[:, 2] -= shift[:, 2].mean()
    return np.linalg.norm(shift, axis=1)


def strain_spread(pairs: Comparison) -> float:
    """Rms of the errors of the strain about their mean, 10⁻⁶."""
    errors = pairs.lattice_strain - pairs.lattice_strain.mean(axis=0)
    return float(1e6 * np.sqrt(np.mean(errors**2)))


def figures(
    case: Case, result: GeometryResult, truth: DetectorGeometry, pairs: Comparison
) -> Iterator[tuple[str, float, float, str]]:
    """Name, reached, required, unit."""
    found, sigma = result.detector, result.sigma
    yield "grains left out", float(case.count - pairs.recovered), 0.0, ""
    yield "position about the mean height, median", float(np.median(off(pairs))), case.position, "um"
    yield "BC (true mean height)", float(np.hypot(found.y_bc - truth.y_bc, found.z_bc - truth.z_bc)), 0.003, "px"
    yield "ty, tz", max(abs(found.ty - truth.ty), abs(found.tz - truth.tz)), 3e-3, "deg"
    yield "tx", abs(found.tx - truth.tx), 3e-4, "deg"
    yield "Wedge", abs(found.wedge - truth.wedge), 3e-4, "deg"
    yield "p0, p1, p2", float(np.abs(distortion(found) - distortion(truth)).max()), 2e-5, ""
    yield "Lsd, lattice not trusted", abs(found.lsd - truth.lsd) / sigma["Lsd"], 3.0, "sig"
    yield "strain about the mean", strain_spread(pairs), 8.0, "1e-6"
    yield "iterations", float(result.iterations), 15.0, ""


def distortion(detector: DetectorGeometry) -> np.ndarray:
    """p0, p2 and the two parts of p1."""
    phase = np.radians(detector.p3)
    return np.array([detector.p0, detector.p2, detector.p1 * np.cos(phase), detector.p1 * np.sin(phase)])


def measure(name: str, folder: Path, threads: int) -> list[tuple[str, float, float, str]]:
    """All figures of a set."""
    case = SETS[name]
    layer, truth = wrong_layer(case, folder, threads)
    true = folder / samples.GRAINS_FILE
    own = Parameters.read(folder / samples.PARAMETER_FILE)
    height = float(read_grains(true, strict=False)["Z"].mean())
    options = {"omega_step": float(own["OmegaStep"]), "turn_positions": True}
    begun = time.process_time()
    result = geometry_from_grains(layer, trust="none", z0=height, threads=threads)
    seconds = time.process_time() - begun
    group = {"space_group": own["SpaceGroup"], "lattice": own["LatticeParameter"]}
    pairs = compare(true, fitted_grains(result), **options, **group)
    before = compare(true, layer.grains, **options)
    out = [
        ("before: position about the mean height, median", float(np.median(off(before))), np.inf, "um"),
        ("before: strain about the mean", strain_spread(before), np.inf, "1e-6"),
        *figures(case, result, truth, pairs),
    ]
    out.append(("CPU", seconds, np.inf, "s"))
    again = refine([layer], GeometryOptions(trust="none", z0=repr(height), max_passes=3, threads=threads)).data
    pairs = compare(true, again.layers[0].grains, **options)
    out.append(("after the loop: grains missing or too many", abs(pairs.found_count - case.count), 0.0, ""))
    out.append(("after the loop: passes", again.passes, 2.0, ""))
    out.append(("after the loop: position, median", float(np.median(off(pairs))), case.position, "um"))
    out.append(("after the loop: strain about the mean", strain_spread(pairs), 8.0, "1e-6"))
    out.append(("readings that are excluded", -float(again.certificates[0].excluded), -12.0, ""))
    return out


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", nargs="*", metavar="SET", help=f"by default {' '.join(SETS)}")
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    if unknown := set(values.sets) - set(SETS):
        options.error(f"no such set: {', '.join(sorted(unknown))}")
    logging.disable(logging.WARNING)
    calibration, begun = calibrate(), time.process_time()
    for name in values.sets or SETS:
        with tempfile.TemporaryDirectory() as folder:
            for text, reached, required, unit in measure(name, Path(folder), values.threads):
                limit = "" if np.isinf(required) else f"required {abs(required):g}"
                report(f"{name} {text}", abs(reached), unit, None, limit + ("" if reached <= required else "  MISSED"))
    report("all, CPU", time.process_time() - begun, "s", calibration)


if __name__ == "__main__":
    main()
