"""Scans of lit-up frames through the whole pipeline: each must end within a minute of two cores, and say what it saw.

The limit is on the processor time, so that other work on the machine does not matter.

``python -m tests.reliability.lit [PATTERN ...] [--programs ff-midas ff-peaks] [--methods nm lm] [--force 0 1]``
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

SIDE = 512
FRAMES = 36
LEVEL = 1000
THRESHOLD = 40
LIMIT = 60.0

#: a scan whose five rings cover a good part of the detector
PARAMETERS = """LatticeConstant 3.524 3.524 3.524 90 90 90
SpaceGroup 225
Wavelength 0.172979
Lsd 500000
BC {centre} {centre}
px {px}
RhoD 100000
OmegaStart -180
OmegaStep {step}
Rsample 500
Hbeam 500
Vsample 1e8
BeamThickness 500
OverAllRingToIndex 1
Completeness 0.7
StepSizePos 100
StepSizeOrient 0.2
MarginRadius 500
MarginRadial 500
MarginOme 0.5
MarginEta 500
MinEta 6
EtaBinSize 0.1
OmeBinSize 0.1
UseFriedelPairs 1
Width 1600
RingThresh 1 {threshold}
RingThresh 2 {threshold}
RingThresh 3 {threshold}
RingThresh 4 {threshold}
RingThresh 5 {threshold}
"""

Frames = NDArray[np.uint16]


def _noise(shape: tuple[int, ...], level: float, width: float) -> Frames:
    return np.random.default_rng(1).normal(level, width, shape).clip(0, 65535).astype(np.uint16)


def _checkerboard(shape: tuple[int, ...]) -> Frames:
    board = np.indices(shape[1:]).sum(0) % 2
    return np.broadcast_to(LEVEL * (1 + board), shape).astype(np.uint16)


def _spaced(shape: tuple[int, ...]) -> Frames:
    """As many maxima as there can be: every other pixel of every other row."""
    frames = np.full(shape, LEVEL, np.uint16)
    frames[:, ::2, ::2] += _noise((shape[0], shape[1] // 2, shape[2] // 2), 500, 100)
    return frames


def _pairs(shape: tuple[int, ...]) -> Frames:
    """As many regions as there can be: dominoes that do not touch each other."""
    frames = np.zeros(shape, np.uint16)
    frames[:, ::2, ::3] = frames[:, ::2, 1::3] = LEVEL
    frames[:, ::2, ::3] += _noise(frames[:, ::2, ::3].shape, 500, 100)
    return frames


def _half(shape: tuple[int, ...]) -> Frames:
    frames = _noise(shape, LEVEL, 30)
    frames[:, : shape[1] // 2] = 0
    return frames


def _gradient(shape: tuple[int, ...]) -> Frames:
    return np.broadcast_to(np.add.outer(np.arange(shape[1]), np.arange(shape[2])) * 20 + 100, shape).astype(np.uint16)


def _flash(shape: tuple[int, ...]) -> Frames:
    """A frame of noise far above the threshold among empty ones."""
    frames = np.zeros(shape, np.uint16)
    frames[shape[0] // 2] = _noise(shape[1:], LEVEL, 30)
    return frames


def _blobs(shape: tuple[int, ...]) -> Frames:
    """Round peaks without a gap between them, a dozen pixels apart."""
    y, z = np.indices(shape[1:])
    waves = 1 + np.cos(2 * np.pi * y / 12) * np.cos(2 * np.pi * z / 12)
    return (_noise(shape, 100, 5) + (1000 * waves).astype(np.uint16)).astype(np.uint16)


def _smooth(shape: tuple[int, ...]) -> Frames:
    """Noise as a detector with a point spread of a pixel shows it, the threshold one deviation above its mean."""
    noise = gaussian_filter(np.random.default_rng(1).normal(size=shape), (0, 1, 1))
    return (THRESHOLD - 10 + 10 * noise / noise.std()).clip(0, 65535).astype(np.uint16)


PATTERNS: dict[str, Callable[[tuple[int, ...]], Frames]] = {
    "noise": lambda shape: _noise(shape, LEVEL, 30),
    "noise-at-threshold": lambda shape: _noise(shape, THRESHOLD, 10),
    "noise-1-sigma": lambda shape: _noise(shape, THRESHOLD - 10, 10),
    "noise-2-sigma": lambda shape: _noise(shape, THRESHOLD - 20, 10),
    "equal": lambda shape: np.full(shape, LEVEL, np.uint16),
    "full-scale": lambda shape: np.full(shape, 65535, np.uint16),
    "checkerboard": _checkerboard,
    "spaced": _spaced,
    "pairs": _pairs,
    "half": _half,
    "gradient": _gradient,
    "flash": _flash,
    "blobs": _blobs,
    "smooth-noise": _smooth,
}


def make(folder: Path, frames: Frames, *lines: str) -> None:
    """Write the raw file of a scan and its parameters."""
    count, side = frames.shape[:2]
    with h5py.File(folder / "scan_000001.h5", "w") as file:
        file.create_dataset(
            "exchange/data", data=frames, chunks=(1, side, side), compression="gzip", compression_opts=1
        )
    text = PARAMETERS.format(centre=side / 2, px=204800 / side, step=360 / count, threshold=THRESHOLD)
    (folder / "ps.txt").write_text(text + "\n".join([*lines, ""]))


def commands(program: str, force: int, threads: int) -> list[list[str]]:
    """The programs that are run, one after the other."""
    whole = ["ff-midas", "-paramFN", "ps.txt", "-dataFN", "scan_000001.h5", "-nCPUs", str(threads)]
    if program == "ff-midas":
        return [[*whole, "-force", str(force)]]
    archive = "LayerNr_1/scan_000001.MIDAS.zip"
    return [
        ["ff-convert", "-paramFN", "ps.txt", "-dataFN", "scan_000001.h5", "-resultFolder", "LayerNr_1"],
        ["ff-hkls", archive, "LayerNr_1"],
        ["ff-peaks", archive, "--folder", "LayerNr_1", "--threads", str(threads), "-force", str(force)],
    ]


def run(folder: Path, program: str, force: int, threads: int, limit: float) -> tuple[int, str]:
    """Exit code of the last program, which is ended when it has used up its processor time, and what it said."""
    code, said = 0, ""
    for command in commands(program, force, threads):
        most = ["prlimit", f"--cpu={math.ceil(limit * threads)}", *command]
        ended = subprocess.run(most, cwd=folder, capture_output=True, text=True, check=False)
        code, said = ended.returncode, sentence(ended.stdout + ended.stderr)
        if code < 0:
            return code, f"{command[0]} has not ended"
        if code:
            break
    return code, said


def sentence(output: str) -> str:
    """The error, or else the warnings, or else the last line."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "Traceback" in line or line.startswith("ff-")]
    warnings = [line for line in lines if "WARNING" in line or "arning: " in line]
    return (errors[-1:] or [" | ".join(warnings)] if errors or warnings else lines[-1:] or [""])[0]


def cases(values: argparse.Namespace) -> Iterator[tuple[str, str, str, int]]:
    """Pattern, program, method, force."""
    yield from product(values.patterns or PATTERNS, values.programs, values.methods, values.force)


def _cpu() -> float:
    """Seconds that the programs took so far, of all cores."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print a line for each case; 1 when one of them takes too long or breaks."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("patterns", nargs="*", metavar="PATTERN", help=", ".join(PATTERNS))
    options.add_argument("--programs", nargs="+", default=["ff-midas", "ff-peaks"])
    options.add_argument("--methods", nargs="+", default=["nm", "lm"])
    options.add_argument("--force", nargs="+", type=int, default=[0, 1])
    options.add_argument("--keys", nargs="*", default=[], help="further lines of the parameter file")
    options.add_argument("--side", type=int, default=SIDE)
    options.add_argument("--frames", type=int, default=FRAMES)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--limit", type=float, default=LIMIT, help="seconds of every thread")
    values = options.parse_args()
    failures = 0
    for pattern, program, method, force in cases(values):
        with tempfile.TemporaryDirectory() as scratch:
            frames = PATTERNS[pattern]((values.frames, values.side, values.side))
            make(Path(scratch), frames, f"PeakFitMethod {method}", *values.keys)
            begun, before = time.perf_counter(), _cpu()
            code, said = run(Path(scratch), program, force, values.threads, values.limit)
            seconds, cpu = time.perf_counter() - begun, _cpu() - before
        bad = cpu > values.limit * values.threads or code not in (0, 1) or not said or "Traceback" in said
        failures += bad
        what = f"{pattern} {program} {method} -force {force}"
        print(f"{'FAIL' if bad else 'ok':4} {seconds:5.1f} s ({cpu:5.1f} s CPU) rc {code} {what}: {said}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
