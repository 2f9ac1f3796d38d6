"""Samples that are hard to resolve into grains, against their truth: ``python benchmarks/resolving.py [SET ...]``.

Prints for every set: true grains, found / copies or fragments / ghosts, position error (median and 95th percentile),
rms of the mean normal strain, what is required of the rule, and whether it holds.

See docs/accuracy.md#one-crystal-one-grain.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from calibration import calibrate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from crystal_sets.scoring import Score
from crystal_sets.sets import SETS, Made

_HEAD = f"{'set':<18}{'rule':<8}{'true':>5}  {'found/copies/ghosts':<20}{'position µm':>14}{'strain':>8}  required"


def line(name: str, rule: str, result: Score, seconds: float, calibration: float) -> str:
    """A row of the table."""
    counts = f"{result.found} / {result.copies} / {result.ghosts}"
    median, p95 = result.position
    required = SETS[name].required.get(rule or "spots")
    verdict = "" if required is None else f"{required}: {'holds' if required.holds(result) else 'FAILS'}"
    return (
        f"{name:<18}{rule or 'default':<8}{result.true:>5}  {counts:<20}{median:>7.2f},{p95:>6.2f}"
        f"{result.strain_rms:>8.0f}  {verdict}  [{seconds:.1f} s, {seconds / calibration:.0f} x calibration]"
    )


def measure(made: Made, rule: str, search: bool) -> tuple[Score, float]:
    """Score of one rule, and CPU seconds of the analysis, with the search of peaks or without."""
    begun = time.process_time()
    result = made.analyse(search=search, **({"GrainMerging": rule} if rule else {}))
    return result, time.process_time() - begun


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; by default those without frames"
    )
    options.add_argument("--merging", nargs="+", default=[""], help="values of GrainMerging; by default the default")
    options.add_argument("--folder", type=Path, help="where the files stay; by default nowhere")
    values = options.parse_args()
    names = values.sets or [name for name, one in SETS.items() if one.measured == "spots"]
    if unknown := set(names) - set(SETS):
        options.error(f"no such set: {', '.join(sorted(unknown))}")
    logging.disable(logging.WARNING)
    calibration = calibrate()
    print(_HEAD)
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            made = SETS[name].make((values.folder or Path(scratch)) / name)
            for number, rule in enumerate(values.merging):
                print(line(name, rule, *measure(made, rule, number == 0), calibration), flush=True)


if __name__ == "__main__":
    main()
