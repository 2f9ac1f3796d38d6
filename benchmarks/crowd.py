"""A crowded, noisy scan: 1000 grains, 720 frames with background and Poisson noise; CPU time of every step.

See docs/accuracy.md#a-crowded-scan.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from calibration import calibrate, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from crystal_sets.grains import scattered
from crystal_sets.sets import CROWDED, SETS

_LOGGER = "midas.pipeline.steps"


class Clock(logging.Handler):
    """CPU seconds between the messages of the steps, and what each says."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.steps: list[tuple[str, float]] = []
        self.last = time.process_time()

    def emit(self, record: logging.LogRecord) -> None:
        now = time.process_time()
        self.steps.append((record.getMessage(), now - self.last))
        self.last = now


def listen() -> Clock:
    """A clock that starts now and hears the steps alone; other messages go nowhere."""
    clock, logger = Clock(), logging.getLogger(_LOGGER)
    logging.getLogger("midas").setLevel(logging.ERROR)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [clock]
    return clock


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--grains", type=int, default=1000)
    options.add_argument("--pixels", type=int, default=1024, help="of a side; they cover the same area")
    options.add_argument("--step", type=float, default=0.5, help="degrees")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--merging", nargs="+", default=[""], help="values of GrainMerging; by default the default")
    options.add_argument("--folder", type=Path, help="where the files stay; by default nowhere")
    values = options.parse_args()
    detector = {"NrPixels": values.pixels, "px": 204800 / values.pixels, "BC": (values.pixels / 2,) * 2}
    what = replace(
        SETS["crowd"],
        truth=partial(scattered, 221, values.grains),
        values={**CROWDED, **detector, "OmegaStep": values.step},
    )
    calibration = calibrate()
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.process_time()
        made = what.make(values.folder or Path(scratch), threads=values.threads)
        report("simulation, CPU", time.process_time() - begun, "s", calibration)
        required = replace(what.required["spots"], found=int(0.99 * values.grains))
        for number, rule in enumerate(values.merging):
            clock = listen()
            keys = {"GrainMerging": rule} if rule else {}
            layer = made.run(threads=values.threads, search=number == 0, **keys)
            for step, seconds in clock.steps:
                name, _, counts = step.partition(",")
                report(f"  {name.partition(':')[0]}:{counts}", seconds, "s", calibration)
            result = made.judge(layer)
            print(f"{rule or 'default'}: {result}")
            print(f"required: {required}: {'holds' if required.holds(result) else 'FAILS'}", flush=True)


if __name__ == "__main__":
    main()
