"""How long a command takes to say what it can: ``--help`` in a process of its own, best of five."""

from __future__ import annotations

import subprocess
import sys

from calibration import calibrate, report, wall_seconds

LIMIT = "limit 0.3 s"


def main() -> None:
    calibration = calibrate()
    for name in ("ff-midas", "ff-peaks", "IndexerOMP"):
        command = [sys.executable, "-m", "midas", name, "--help"]
        seconds = wall_seconds(lambda c=command: subprocess.run(c, check=True, stdout=subprocess.DEVNULL), 5)
        report(f"{name} --help, wall", seconds, "s", calibration, LIMIT)


if __name__ == "__main__":
    main()
