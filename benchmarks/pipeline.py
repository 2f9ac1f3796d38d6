"""The whole pipeline on the simulated scan of three gold grains (1440 frames of 2048 x 2048), 2 threads."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from calibration import calibrate, report

from midas import simulation
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.simulation import samples


def main() -> None:
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parameter_file = samples.write("gold", folder, WriteAnalysisZip=1)
        start = time.perf_counter()
        archive = simulation.run(parameter_file, threads=2, folder=folder).data.archive
        report("simulation, wall", time.perf_counter() - start, "s", calibration)
        options = Options(
            parameter_file=parameter_file, data_file=archive, result_folder=folder, threads=2, convert=False
        )
        start = time.perf_counter()
        layer = layers.run(options).data[0]
        for step, seconds in layer.seconds.items():
            report(f"  {step}", seconds, "s", calibration)
        report("pipeline, wall", time.perf_counter() - start, "s", calibration)


if __name__ == "__main__":
    main()
