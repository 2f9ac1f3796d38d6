"""Timing of the binning stage: 300,000 spots on five rings, bins of 0.1 degrees (30 million entries).

The legacy program takes 8-9 s of one core for them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from calibration import calibrate, cpu_seconds, report, wall_seconds
from spot_sets import make_layer

from midas.stages import binning, fit_setup


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--spots", type=int, default=300_000)
    options.add_argument("--bin-size", type=float, default=0.1, help="degrees")
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as folder:
        layer, parameters = make_layer(Path(folder), values.spots)
        tables = fit_setup.run(layer, parameters, threads=values.threads).data
        bins = tables.parameters.changed(OmeBinSize=values.bin_size, EtaBinSize=values.bin_size)
        without = bins.changed(WriteLegacyBins=0)

        def from_files() -> None:
            binning.run(layer, bins, threads=values.threads)

        def from_memory() -> None:
            binning.run(layer, bins, threads=values.threads, spots=tables)

        def without_bins() -> None:
            binning.run(layer, without, threads=values.threads, spots=tables)

        report("binning, tables from files, CPU", cpu_seconds(from_files), "s", calibration)
        report("binning, tables from files, wall", wall_seconds(from_files), "s", calibration)
        report("binning, tables in memory, CPU", cpu_seconds(from_memory), "s", calibration)
        report("binning, tables in memory, wall", wall_seconds(from_memory), "s", calibration)
        report("binning, WriteLegacyBins 0, CPU", cpu_seconds(without_bins), "s", calibration)


if __name__ == "__main__":
    main()
