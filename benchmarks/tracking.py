"""Links of made load steps against their truth, and the time they take: ``python benchmarks/tracking.py [SET ...]``.

Every step deforms, turns and moves the sample, loses 5 % of the grains and shows 3 % new ones; positions are known to
5 µm, orientations to 0.02 degrees, each in some setting of its symmetry. Required: 99.5 % of the links, and no wrong
one; 5,000 grains in seconds. See docs/theory/matching.md#series.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from calibration import calibrate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from results.matching.load_steps import LoadSteps, judged

from midas.results.matching.tracking import track

SETS: dict[str, dict[str, object]] = {
    "cubic": {},
    "hexagonal": {"space_group": 194},
    "triclinic": {"space_group": 2},
    "twins": {"twins": 0.6},
    "texture3": {"texture": 3.0},
    "texture0.5": {"texture": 0.5},
    "texture0.1": {"texture": 0.1},
    "strain": {"gradient": 0.02},
    "anew": {"rotation": 3.0, "shift": 300.0},
    "few": {"grains": 15},
    "many": {"grains": 5000},
    "many0.5": {"grains": 5000, "texture": 0.5},
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; by default all")
    options.add_argument("--draws", type=int, default=5, help="samples of each set of less than 5,000 grains")
    values = options.parse_args()
    names = values.sets or list(SETS)
    if unknown := set(names) - set(SETS):
        options.error(f"no such set: {', '.join(sorted(unknown))}")
    logging.disable(logging.WARNING)
    calibration = calibrate()
    print(f"{'set':<12}{'links':>8}{'right':>8}{'wrong':>7}{'undecided':>11}{'found':>9}  required")
    for name in names:
        made = SETS[name]
        totals, seconds = [0, 0, 0, 0], 0.0
        draws = 1 if made.get("grains") == 5000 else values.draws
        for seed in range(draws):
            sample = LoadSteps(seed=seed, **made)  # type: ignore[arg-type]
            steps, grains = sample.make()
            begun = time.process_time()
            series = track(steps, sample.operators)
            seconds += time.process_time() - begun
            one = judged(series, grains)
            totals = [a + b for a, b in zip(totals, (one.possible, one.right, one.wrong, one.ambiguous), strict=True)]
        possible, right, wrong, undecided = totals
        holds = "holds" if right >= 0.995 * possible and not wrong else "FAILS"
        each = seconds / draws
        print(
            f"{name:<12}{possible:>8}{right:>8}{wrong:>7}{undecided:>11}{100 * right / max(possible, 1):>8.2f}%"
            f"  {holds}  [{each:.2f} s a series, {each / calibration:.1f} x calibration]",
            flush=True,
        )


if __name__ == "__main__":
    main()
