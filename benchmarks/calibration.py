"""What every benchmark divides by: the CPU time of fixed arithmetic on this machine, measured in the same run.

A figure in seconds says as much about the machine as about the program; the ratio of two times of one run travels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np


def cpu_seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Smallest CPU time of the whole process over some repeats of `work`."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def wall_seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Smallest wall time over some repeats of `work`."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def calibrate() -> float:
    """CPU seconds of two million sines and square roots on one thread."""
    x = np.linspace(0.0, 100.0, 2_000_000)
    return cpu_seconds(lambda: np.sqrt(np.abs(np.sin(x))).sum(), 5)


def report(name: str, value: float, unit: str, calibration: float | None = None, limit: str = "") -> None:
    """One line: the figure, its ratio to the calibration kernel, and the limit that the project has set itself."""
    ratio = "" if calibration is None else f"  {value / calibration:10.4f} x calibration"
    print(f"{name:<48} {value:12.6g} {unit:<4}{ratio}  {limit}")
