"""Timing of the setup stage: 300,000 spots on five rings, tilts, distortion and wedge; and the fit of the geometry.

The legacy program takes 5.0 s of one core for the spots.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report, wall_seconds
from spot_sets import FRAMES, make_layer

from midas.experiment.detector import DetectorGeometry
from midas.formats import hkls, radius
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.stages import fit_setup
from midas.stages.geometry_fit import fit_geometry
from midas.stages.legacy_geometry_fit import fit_legacy_geometry

#: spots of the fit of the geometry: a dozen grains
FITTED = 1547


def time_geometry_fit(layer: Layer, parameters: Parameters, calibration: float) -> None:
    """From a start that is off by 1.5 mm, 0.4 px and all tilts."""
    peaks, reflections = radius.LAYOUT.read(layer.radius(FRAMES)), hkls.LAYOUT.read(layer.hkls)
    two_theta = reflections["two_theta"][peaks.integers("ring") - 1]
    spots = (peaks["y_recorded"], peaks["z_recorded"], np.ascontiguousarray(two_theta))
    start = DetectorGeometry.from_parameters(parameters.changed(Lsd=1001500.0, BC=(1023.8, 1022.3), ty=0.0, tz=0.0))
    reach = {"tol_lsd": 5000.0, "tol_bc": 1.0, "tol_tilts": 1.0}
    fit = cpu_seconds(lambda: fit_geometry(start, *spots, **reach))
    report(f"DoFit 1, {len(peaks)} spots, CPU", fit, "s", calibration)
    legacy = cpu_seconds(lambda: fit_legacy_geometry(start, *spots, **reach, threads=1), 1)
    report(f"DoFit 1, {len(peaks)} spots, LegacyDigits 1, CPU", legacy, "s", calibration)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--spots", type=int, default=300_000)
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as folder:
        layer, parameters = make_layer(Path(folder), values.spots)
        tables = {"hkls": hkls.LAYOUT.read(layer.hkls), "radius": radius.LAYOUT.read(layer.radius(FRAMES))}

        def from_files() -> None:
            fit_setup.run(layer, parameters, threads=values.threads)

        def from_memory() -> None:
            fit_setup.run(layer, parameters, threads=values.threads, **tables)

        report("setup, tables from files, CPU", cpu_seconds(from_files), "s", calibration)
        report("setup, tables from files, wall", wall_seconds(from_files), "s", calibration)
        report("setup, tables in memory, CPU", cpu_seconds(from_memory), "s", calibration)
        report("setup, tables in memory, wall", wall_seconds(from_memory), "s", calibration)
    with tempfile.TemporaryDirectory() as folder:
        time_geometry_fit(*make_layer(Path(folder), FITTED), calibration)


if __name__ == "__main__":
    main()
