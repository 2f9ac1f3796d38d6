"""Timing of the resolution step: 1,000 crystals, 45,000 spots, about 4,000 solutions, on one core.

Limits: a second of CPU for all of it but input and output; 0.2 ms for a solution without the fits.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from calibration import calibrate, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from stages.owned_layer import OwnedLayer, Row, Sample, scattered

from midas.stages.grains import resolver
from midas.stages.grains.resolve import rounds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--crystals", type=int, default=1000)
    options.add_argument("--solutions", type=int, default=4, help="of each crystal")
    values = options.parse_args()
    logging.disable(logging.WARNING)
    calibration = calibrate()
    sample = Sample(*scattered(values.crystals), omega=(-60.0, 60.0), rings=(1, 2, 3, 4, 5))
    rows: list[Row | None] = [
        sample.solution(crystal, spot, shift=10.0, turn=0.02)
        for crystal in range(values.crystals)
        for spot in sample.spots_of(crystal)[: values.solutions]
    ]
    seconds: dict[str, float] = {}

    def timed(module: object, name: str) -> mock._patch[object]:
        function = getattr(module, name)

        def run(*arguments: object) -> object:
            begun = time.process_time()
            result = function(*arguments)
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - begun
            return result

        return mock.patch.object(module, name, run)

    with tempfile.TemporaryDirectory() as folder:
        layer = OwnedLayer(Path(folder) / "layer", sample, rows)
        with timed(rounds, "refit"), timed(resolver, "resolve"), timed(resolver, "seeds_of"):
            found = layer.run()
    whole = seconds["resolve"] + seconds["seeds_of"]
    each = 1000 * (whole - seconds["refit"]) / len(rows)
    print(f"{len(rows)} solutions, {len(sample.spots)} spots: {found.summary}")
    report("resolution, all, CPU", whole, "s", calibration, "limit 1 s")
    report("of it fits, CPU", seconds["refit"], "s", calibration)
    print(f"a solution without the fits: {each:.3f} ms (limit 0.2 ms)")


if __name__ == "__main__":
    main()
