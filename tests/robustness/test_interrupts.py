"""Signals that come while a kernel works: it ends at once, as it would between two kernels.

See docs/theory/conventions.md#interrupts.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from midas.archive import DATA, ArchiveWriter
from midas.commands.program import GO_ON
from midas.parameters import Parameters

from .harness import ARCHIVE, BY_NAME, INDEXED, REFINED, prepare
from .test_processes import DEFAULT_SIGNALS, command_line

#: seconds between the signal and the end of the process
AT_ONCE = 2.0

# by the simplex, whose fits take long
ONE_THRESHOLD = """
PeakFitMethod nm
DoFullImage 1
RingThresh 1 10
BC 128 128
ResultFolder .
"""


def end_at_work(
    name: str, folder: Path, started: Path, environment: dict[str, str], by: signal.Signals, *arguments: str
) -> tuple[int, str, float]:
    """Send a signal a second after the file `started` appeared: exit code, standard error, seconds until the end."""
    command = [sys.executable, "-c", DEFAULT_SIGNALS, *command_line(name, *arguments)]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not started.exists():
        assert process.poll() is None, process.stderr
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.01)
    time.sleep(1.0)
    assert process.poll() is None, "too little work for this test"
    sent = time.monotonic()
    process.send_signal(by)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors, time.monotonic() - sent


def mesh_of_peaks() -> np.ndarray:
    """A frame of regions with 25 overlapping peaks each, which are too many for joint fits of a second each."""
    y, z = np.meshgrid(np.arange(30), np.arange(30), indexing="ij")
    region = 40 + 60 * (np.cos(2 * np.pi * (y - 3) / 6) + np.cos(2 * np.pi * (z - 3) / 6) + 2)
    tile = np.zeros((32, 32))
    tile[:30, :30] = region
    frame = np.zeros((256, 256), np.uint16)
    frame[:] = np.tile(tile, (8, 8))
    return frame


def test_among_peaks_of_one_region(tmp_path: Path, environment: dict[str, str]) -> None:
    frames = [mesh_of_peaks()] * 8
    shape = (len(frames), *frames[0].shape)
    with ArchiveWriter(tmp_path / ARCHIVE, shape, frames[0].dtype, threads=1) as writer:
        writer.add_frames(DATA, shape, frames)
        writer.add_parameters(Parameters.parse(ONE_THRESHOLD, tmp_path / "ps.txt"))
    arguments = (ARCHIVE, "0", "1", "2")
    program = "PeaksFittingOMPZarrRefactor"
    code, errors, seconds = end_at_work(program, tmp_path, tmp_path / "Temp", environment, signal.SIGINT, *arguments)
    assert (code, errors) == (130, f"{program}: interrupted\n")
    assert seconds < AT_ONCE
    assert not list((tmp_path / "Temp").iterdir())


def test_within_one_seed_of_the_indexer(pristine: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = prepare(BY_NAME["IndexerOMP"], pristine, tmp_path / "layer")
    with open(folder / "paramstest.txt", "a", encoding="utf-8") as stream:
        stream.write("UseFriedelPairs 0;\nStepsizePos 1;\nStepsizeOrient 0.01;\nRsample 5000;\nHbeam 5000;\n")
    started = folder / f"{INDEXED[0]}.unfinished"
    arguments = ("paramstest.txt", "0", "1", "1", "1")
    code, errors, seconds = end_at_work("IndexerOMP", folder, started, environment, signal.SIGTERM, *arguments)
    assert (code, errors) == (143, f"IndexerOMP: ended by SIGTERM; {GO_ON}\n")
    assert seconds < AT_ONCE
    assert not any((folder / file).exists() for file in INDEXED)
    assert not list(folder.rglob("*.part"))


def test_among_the_seeds_of_a_refinement(pristine: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """The legacy minimiser on as many seeds as are refined at a time."""
    folder = prepare(BY_NAME["FitPosOrStrainsOMP"], pristine, tmp_path / "layer")
    repeats = 500
    for file in (*INDEXED, "SpotsToIndex.csv"):
        content = (folder / file).read_bytes()
        with open(folder / file, "wb") as stream:
            for _ in range(repeats):
                stream.write(content)
    with open(folder / "paramstest.txt", "a", encoding="utf-8") as stream:
        stream.write("RefineMethod staged\n")
    arguments = ("paramstest.txt", "0", "1", str(3 * repeats), "1")
    started = folder / f"{REFINED[-1]}.unfinished"
    code, errors, seconds = end_at_work("FitPosOrStrainsOMP", folder, started, environment, signal.SIGHUP, *arguments)
    assert (code, errors) == (129, f"FitPosOrStrainsOMP: ended by SIGHUP; {GO_ON}\n")
    assert seconds < AT_ONCE
    assert not any((folder / file).exists() for file in REFINED)
