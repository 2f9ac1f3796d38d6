"""Timing of the ownership of spots: the candidates of 1000 grains and their 55,000 spots, on one thread.

The goals are 0.2 ms of CPU a candidate for the kernel, which matches reflections and spots, and 1 s for the whole step.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report

from midas.experiment.orientation import symmetry_operators
from midas.formats import hkls
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.stages.grains.inputs import read_inputs, solved_rows
from midas.stages.grains.resolve import Resolved, resolve, seeds_of
from midas.stages.grains.scales import scales_of
from midas.stages.grains.scene import scene_of
from midas.stages.grains.selection import Limits, Selection

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from crystal_sets.grains import NICKEL, scattered
from crystal_sets.sets import SETS

LIMIT_MS, LIMIT_S = 0.2, 1.0


def measure(layer: Layer, parameter_file: Path, calibration: float, threads: int) -> Resolved:
    """The step on the results of a layer, and its parts."""
    own = Parameters.read(parameter_file).for_stage("grains")
    geometry = Parameters.read(layer.paramstest, "paramstest").for_stage("refinement")
    inputs = read_inputs(layer, None, None, None, None)
    solved = solved_rows(inputs)
    scales = scales_of(inputs, own, np.flatnonzero(solved), geometry["px"], own["OmegaStep"])
    operators = symmetry_operators(225, NICKEL)
    scene = scene_of(layer, geometry, hkls.LAYOUT.read(layer.hkls), inputs.spots, scales, operators, threads)
    seeds = seeds_of(inputs, scene, solved)
    crystals, limits = seeds.candidates.crystals, Limits(own["MinUniqueSpots"], own["UniqueCompleteness"])
    found: list[Resolved] = []
    matching = cpu_seconds(lambda: scene.match(crystals))
    selecting = cpu_seconds(lambda: Selection(scene, seeds.candidates, seeds.matches, limits).run())
    whole = cpu_seconds(lambda: found.append(resolve(seeds, own, scene)), 1)
    what, milliseconds = f"{len(crystals)} candidates, {len(scene.spots)} spots", 1e3 * calibration
    report(f"matches, {what}", 1e3 * matching / len(crystals), "ms", milliseconds, f"limit {LIMIT_MS:g} ms a candidate")
    report("selection, a candidate", 1e3 * selecting / len(crystals), "ms", milliseconds)
    report("matching, selection, fits, verdicts", matching + whole, "s", calibration, f"limit {LIMIT_S:g} s")
    return found[0]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--grains", type=int, default=1000)
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    logging.disable(logging.WARNING)
    calibration = calibrate()
    what = replace(SETS["high-spots"], truth=partial(scattered, 202, values.grains))
    with tempfile.TemporaryDirectory() as folder:
        made = what.make(Path(folder))
        found = measure(made.run(threads=values.threads), made.parameter_file, calibration, values.threads)
    print(f"{len(found.rows)} crystals of {values.grains}")


if __name__ == "__main__":
    main()
