"""Timing of the hkl list: gold, a hexagonal and a triclinic cell.

The legacy program takes 13 ms, 108 ms and 47 ms for lists of this kind.
"""

from __future__ import annotations

from calibration import calibrate, cpu_seconds, report

from midas.experiment import crystal
from midas.parameters import Parameters

CELLS = {
    225: "5.1 5.1 5.1 90 90 90",
    194: "5.1 5.1 7.3 90 90 120",
    1: "5.1 6.2 7.3 83 97 101",
}
REPEATS = 20


def main() -> None:
    calibration = calibrate()
    for number, cell in CELLS.items():
        parameters = Parameters.parse(
            f"SpaceGroup {number}\nLatticeParameter {cell}\nWavelength 0.2\nLsd 1000000\nRhoD 204800\n"
        )

        def work(parameters: Parameters = parameters) -> None:
            for _ in range(REPEATS):
                crystal.operations_of.cache_clear()
                crystal.reflections(parameters)

        report(f"hkl list, space group {number}, CPU", cpu_seconds(work) / REPEATS, "s", calibration)


if __name__ == "__main__":
    main()
