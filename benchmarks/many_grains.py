"""How the results of a layer grow with its grains: HDF5 file with groups of spots, page, exports.

``python benchmarks/many_grains.py [GRAINS ...]``: CPU seconds of `ff-midas`' consolidation, ``ff-report`` and
``ff-export``, and the exponent between the first number of grains and the last one. A page costs seconds whatever is in
it, so that its exponent is far below one.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from calibration import calibrate, report
from consolidated import tables_of

from midas.formats.layer import Layer
from midas.results import consolidated
from midas.results.exchange.export import export

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from many_grains import write as layer_of


def _consolidate(layer: Layer) -> None:
    consolidated.write(layer, per_spot_groups=1, tables=tables_of(layer))


def _page(layer: Layer) -> None:
    from midas.results import report as page
    from midas.results.reading import read_results

    results = read_results(layer.folder, archive=layer.archive)
    page.write(results, layer.report, page.PageOptions(threads=1))


WORK: dict[str, Callable[[Layer], Any]] = {
    "consolidated file, groups of spots": _consolidate,
    "page": _page,
    "all exports": lambda layer: export(layer.folder),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("grains", nargs="*", type=int, default=[200, 1000, 5000])
    numbers = options.parse_args().grains
    logging.disable(logging.WARNING)
    calibration = calibrate()
    seconds: dict[str, list[float]] = {name: [] for name in WORK}
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            layer = layer_of(Path(folder), number).layer
            for name, work in WORK.items():
                begun = time.process_time()
                work(layer)
                seconds[name].append(time.process_time() - begun)
    print(f"| CPU seconds | {' | '.join(map(str, numbers))} grains | growth |\n{'|---' * (len(numbers) + 2)}|")
    for name, values in seconds.items():
        growth = np.log(values[-1] / values[0]) / np.log(numbers[-1] / numbers[0]) if len(numbers) > 1 else np.nan
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} | {growth:.2f} |")
    report("all of it, CPU", sum(map(sum, seconds.values())), "s", calibration)


if __name__ == "__main__":
    main()
