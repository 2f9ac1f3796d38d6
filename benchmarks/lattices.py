"""Kinds of lattices times ways to measure, grains found of the true ones: ``python benchmarks/lattices.py [LATTICE]``.

A cell of the table is how many of the true grains were found, how many surplus ones there are after a plus, and how
many stand in a setting of the higher symmetry that the lattice nearly has. See docs/accuracy.md#kinds-of-lattices.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from calibration import calibrate, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from crystal_sets.lattices import GRAINS, LATTICES, MEASUREMENTS, measure


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("lattices", nargs="*", metavar="LATTICE", help=f"of {', '.join(LATTICES)}; by default all")
    options.add_argument("--merging", help="value of GrainMerging")
    values = options.parse_args()
    names = values.lattices or list(LATTICES)
    if unknown := set(names) - set(LATTICES):
        options.error(f"no such lattice: {', '.join(sorted(unknown))}")
    logging.disable(logging.WARNING)
    keys = {"GrainMerging": values.merging} if values.merging else {}
    calibration, begun = calibrate(), time.process_time()
    print(f"{GRAINS} grains each\n\n| lattice | {' | '.join(MEASUREMENTS)} | position, rotation, strain to |")
    print("|---" * (len(MEASUREMENTS) + 2) + "|")
    right = 0
    for name in names:
        cells = []
        for bench in MEASUREMENTS.values():
            with tempfile.TemporaryDirectory() as folder:
                cells.append(measure(LATTICES[name], bench, Path(folder), **keys))
        right += sum(cell.right for cell in cells)
        angle, distance = (max(cell.strict.worst[i] for cell in cells) for i in (0, 1))
        strain = max(abs(cell.strict.strain).max(initial=0.0) for cell in cells)
        worst = f"{distance:.1f} µm, {angle:.3f}°, {strain:.0f}e-6"
        print(f"| {name} | {' | '.join(map(str, cells))} | {worst} |", flush=True)
    print(f"\n{right} of {len(names) * len(MEASUREMENTS)} right\n")
    report("analysis of all, CPU", time.process_time() - begun, "s", calibration)


if __name__ == "__main__":
    main()
