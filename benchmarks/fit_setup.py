"""Timing of the setup stage: 300,000 spots on five rings, tilts, distortion and wedge.

The legacy program takes 5.0 s of one core for them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from calibration import calibrate, cpu_seconds, report, wall_seconds
from spot_sets import FRAMES, make_layer

from midas.formats import hkls, radius
from midas.stages import fit_setup


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


if __name__ == "__main__":
    main()
