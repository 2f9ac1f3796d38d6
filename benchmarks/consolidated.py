"""Cost of the consolidated HDF5: the file of a layer of many grains, and what the groups of single spots add to it.

A spot is to cost no more than 0.3 ms of CPU and 2000 bytes beside its rows in the flat tables; with the library alone
it took 2.4 ms and 19 kB.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from calibration import calibrate, cpu_seconds, report

from midas.formats.layer import Layer
from midas.results import consolidated
from midas.results.tables.sources import LayerTables, Sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import many_grains

#: of which the file is made, beside the peaks
TABLES = (
    "hkls merged merge_map radius id_rings ids_hash extra_info spots_to_index grains spot_matrix grain_ids_key"
).split()


def tables_of(layer: Layer) -> LayerTables:
    """The tables in memory, as a run has them."""
    sources = Sources(layer)
    return LayerTables(parameters=sources.parameters, **{name: getattr(sources, name) for name in TABLES})


def write(layer: Layer, tables: LayerTables, groups: int, repeats: int) -> tuple[float, int]:
    """CPU seconds and size of the file."""
    seconds = cpu_seconds(lambda: consolidated.write(layer, per_spot_groups=groups, tables=tables), repeats)
    return seconds, os.path.getsize(layer.consolidated)


def loop(path: Path) -> tuple[int, float]:
    """How many spots the loop of docs/formats.md sees in five seconds at most, and the CPU seconds that it takes."""
    seen, start = 0, time.process_time()
    with h5py.File(path) as h5:
        for name in h5["grains"]:
            if not name.startswith("grain_") or time.process_time() - start > 5:
                continue
            spots = h5["grains"][name]["spots"]
            for spot in (spots[name] for name in spots if name.startswith("spot_")):
                peaks = spot["constituent_peaks"]
                assert peaks["n_constituent_peaks"][()] == len(peaks["frame_nr"][:])
                np.sum(peaks["integratedintensity"][:])
                seen += 1
    return seen, time.process_time() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--grains", type=int, default=500)
    options.add_argument("--repeats", type=int, default=3)
    values = options.parse_args()
    logging.disable(logging.WARNING)
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as folder:
        layer = many_grains.write(Path(folder), values.grains).layer
        tables = tables_of(layer)
        assert tables.spot_matrix is not None
        spots = len(tables.spot_matrix)
        without, small = write(layer, tables, 0, values.repeats)
        whole, large = write(layer, tables, 1, values.repeats)
        print(f"{values.grains} grains, {spots} spots: {small / 1e6:.1f} MB, with their groups {large / 1e6:.1f} MB")
        report("the file without groups of spots, CPU", without, "s", calibration)
        report("the file with them, CPU", whole, "s", calibration)
        report("a spot, CPU", 1e3 * (whole - without) / spots, "ms", 1e3 * calibration, "limit 0.3 ms")
        report("a spot, size", (large - small) / spots, "B", limit="limit 2000 B")
        seen, seconds = loop(layer.consolidated)
        report("the loop of the documentation, a spot, CPU", 1e3 * seconds / max(seen, 1), "ms", 1e3 * calibration)


if __name__ == "__main__":
    main()
