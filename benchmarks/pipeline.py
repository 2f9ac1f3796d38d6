"""The whole pipeline on the simulated scan of three gold grains (1440 frames of 2048 x 2048), 2 threads."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from calibration import calibrate, report
from spot_sets import gold_archive

from midas.pipeline import layers
from midas.pipeline.options import Options


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=1440)
    frames = arguments.parse_args().frames
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        start = time.perf_counter()
        parameter_file, archive = gold_archive(folder, frames)
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
