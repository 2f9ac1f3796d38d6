"""Memory of long scans and of many layers.

``python -m tests.reliability.memory scan [--frames 144 1440] [--side 2048] [--threads 2]`` runs ``ff-midas`` on a scan
of a few grains, taken with coarse and with fine steps, and prints the peak of its resident memory in each step.
``python -m tests.reliability.memory layers [--count 500]`` runs as many layers of a tiny scan in one process, by
``ff-midas`` and by `midas.run`, and prints memory, open files and threads after each of them.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin

from midas import simulation
from midas.archive import Archive
from midas.simulation import samples
from tests import tiny_scan

MIB = 1 << 20
#: a scan of any length stays below this, MiB
LIMIT = 1024
#: how much more a scan of ten times the frames may take, and five hundred layers than the first twenty
MORE_FRAMES, MORE_LAYERS = 1.10, 1.05
WARM_UP = 20

_STEP = re.compile(r" - INFO - (\w+): [\d.]+ s")
_LAYER_DONE = re.compile(r"Layer processing: (\d+)/")
#: `midas.run`, whose messages go where the caller wants them
_FROM_PYTHON = """import logging, midas
logging.basicConfig(level=logging.INFO)
midas.run(parameter_file="ps.txt", last_layer={count}, threads=1, report={report})
"""


@dataclass(frozen=True)
class State:
    """Of a process: resident memory and its peak in MiB, open files, threads."""

    resident: float
    peak: float
    files: int
    threads: int


def state_of(pid: int) -> State:
    """The state of a process that runs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {name: text.split()[0] for name, _, text in (line.partition(":") for line in lines) if text.split()}
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return State(int(values["VmRSS"]) / 1024, int(values["VmHWM"]) / 1024, files, int(values["Threads"]))


def forget_peak(pid: int) -> None:
    """Let the peak of a process begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def watch(command: list[str], folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[str, State]]:
    """The state of a program whenever it says that something is done, and since the last time its peak.

    Raises
    ------
    RuntimeError : with what it said, when it fails.
    """
    said = []
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr or ():
            said.append(line)
            if match := pattern.search(line):
                yield match[match.lastindex or 0], state_of(process.pid)
                forget_peak(process.pid)
    if process.returncode:
        raise RuntimeError("".join(said[-5:]))


def write_raw(archive: Path, raw: Path) -> None:
    """The frames of an archive as a detector writes them, one at a time."""
    with Archive(archive) as opened, h5py.File(raw, "w") as file:
        frames = opened.frames
        shape = (1, *frames.shape[1:])
        data = file.create_dataset("exchange/data", frames.shape, frames.dtype, chunks=shape, **hdf5plugin.Blosc())
        for number in range(len(frames)):
            data[number] = frames[number]


def make_scan(folder: Path, frames: int, side: int, threads: int) -> Path:
    """A raw file of so many frames over half a turn; its parameter file."""
    step = 180 / frames
    parameters = samples.write(
        "demo", folder, NrPixels=side, px=204800 / side, BC=(side / 2, side / 2), OmegaStep=step, OmegaSpread=0.3,
        Noise=None, Background=None, DarkFrames=None, DarkLevel=None, DarkNoise=None, WriteLegacyBins=0,
    )  # fmt: skip
    archive = simulation.run(parameters, threads=threads, folder=folder).data.archive
    write_raw(archive, folder / "scan_000001.h5")
    archive.unlink()
    return parameters


def peaks_of_steps(frames: int, side: int, threads: int) -> dict[str, float]:
    """Peak of the resident memory in each step of the driver, MiB."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        parameters = make_scan(folder, frames, side, threads)
        command = ["ff-midas", "-paramFN", parameters.name, "-dataFN", "scan_000001.h5", "-nCPUs", str(threads)]
        return {step: state.peak for step, state in watch(command, folder, _STEP)}


def report_scan(values: argparse.Namespace) -> bool:
    """Print the table of the steps; whether the limits hold."""
    few, many = (peaks_of_steps(frames, values.side, values.threads) for frames in values.frames)
    print(f"{'step':20} " + " ".join(f"{frames:>6} frames" for frames in values.frames))
    for step in many:
        print(f"{step:20} {few.get(step, 0):9.0f} MiB {many[step]:9.0f} MiB")
    most = max(few.values()), max(many.values())
    holds = most[1] < LIMIT and most[1] <= MORE_FRAMES * most[0]
    print(f"{'all':20} {most[0]:9.0f} MiB {most[1]:9.0f} MiB  {'holds' if holds else 'FAILS'}", flush=True)
    return holds


def prepare_layers(folder: Path, count: int) -> Path:
    """A tiny scan under as many numbers; its parameter file."""
    scan = tiny_scan.make(folder)
    for number in range(2, count + 1):
        (folder / f"scan_{number:06d}.h5").symlink_to(scan.raw)
    lines = ["FileStem scan", "Ext .h5", "StartFileNrFirstLayer 1", "RawFolder .", ""]
    path = folder / "ps.txt"
    path.write_text(scan.parameters.read_text() + "\n".join(lines))
    return path


def states_of_layers(way: str, count: int, report: bool) -> list[State]:
    """The state of the process after each layer."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare_layers(folder, count)
        command = ["ff-midas", "-paramFN", "ps.txt", "-nCPUs", "1", "-endLayerNr", str(count)]
        command += ["-report", str(int(report))]
        if way == "midas.run":
            command = [sys.executable, "-c", _FROM_PYTHON.format(count=count, report=report)]
        states = []
        for layer, state in watch(command, folder, _LAYER_DONE):
            states.append(state)
            shutil.rmtree(folder / f"LayerNr_{layer}")  # or the disk would be full
        return states


def stays_the_same(states: list[State], warm: int) -> bool:
    """Whether memory, open files and threads are at the end what they were after the first so many layers."""
    early, late = states[warm - 1], states[-1]
    # The next layer may have begun when the process is looked at, with a file that it will close.
    files = [min(state.files for state in part) for part in (states[: warm + 1], states[-warm:])]
    return late.resident <= MORE_LAYERS * early.resident and files[1] <= files[0] and late.threads <= early.threads


def report_layers(values: argparse.Namespace) -> bool:
    """Print the states; whether they stay the same."""
    holds = True
    for way in values.ways:
        states = states_of_layers(way, values.count, values.report_pages)
        warm = min(WARM_UP, len(states) // 2)
        for number in sorted({1, warm, *range(50, len(states), 50), len(states)}):
            state = states[number - 1]
            print(f"{way} layer {number:4}: {state.resident:5.0f} MiB, {state.files} files, {state.threads} threads")
        same = stays_the_same(states, warm)
        print(f"{way}: {'holds' if same else 'FAILS'}", flush=True)
        holds &= same
    return holds


def main() -> int:
    """Print what was asked for; 1 when a limit does not hold."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = options.add_subparsers(required=True)
    scan = what.add_parser("scan")
    scan.add_argument("--frames", type=int, nargs=2, default=(144, 1440))
    scan.add_argument("--side", type=int, default=2048)
    scan.add_argument("--threads", type=int, default=2)
    scan.set_defaults(report=report_scan)
    layers = what.add_parser("layers")
    layers.add_argument("--count", type=int, default=500)
    layers.add_argument("--ways", nargs="+", default=["ff-midas", "midas.run"])
    layers.add_argument("--report-pages", action="store_true", help="write the page of each layer, too")
    layers.set_defaults(report=report_layers)
    values = options.parse_args()
    return int(not values.report(values))


if __name__ == "__main__":
    sys.exit(main())
