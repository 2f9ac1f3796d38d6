"""Timing of the elementary functions: nanoseconds of each result, of the suite's own and of the C library's.

The ratio is to one sine and square root of the calibration kernel.

Both are called through the same universal functions, which cost one to two of them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from calibration import calibrate, report

from midas._ext.numerics import elementwise
from midas._ext.numerics.variant import functions_of

RANGES = {
    "exp": [(-30, 0)],
    "log": [(0, 9)],
    "sin": [(-3, 3)],
    "cos": [(-3, 3)],
    "tan": [(-1, 1)],
    "arcsin": [(-1, 1)],
    "arccos": [(-1, 1)],
    "arctan": [(-1, 1)],
    "arctan2": [(-1, 1), (-1, 1)],
    "hypot": [(-1, 1), (-1, 1)],
    "erf": [(-3, 3)],
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200_000)
    options.add_argument("--repeats", type=int, default=15)
    values = options.parse_args()
    calibration = 1e9 * calibrate() / 2_000_000
    draw = np.random.default_rng(1)
    for name, ranges in RANGES.items():
        arguments = [draw.uniform(low, high, values.count) for low, high in ranges]
        best = {False: float("inf"), True: float("inf")}
        for c_library in values.repeats * (False, True):
            with functions_of(c_library=c_library):
                start = time.process_time()
                getattr(elementwise, name)(*arguments)
                best[c_library] = min(best[c_library], time.process_time() - start)
        limit = f"{best[False] / best[True]:.2f} x C library"
        report(name, 1e9 * best[False] / values.count, "ns", calibration, limit)


if __name__ == "__main__":
    main()
