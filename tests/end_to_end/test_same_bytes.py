"""A run that is made again, in a process with other hashes and more threads: every file is the same to the byte.

SOURCE_DATE_EPOCH fixes the date; the logs and the run record say how long each run took, and are left out.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_scan import TinyScan

#: all in one process: the start of Python and its imports are half of what they cost
PROGRAM = """
from midas.commands.run import run
for words in {commands!r}:
    assert run(*words) == 0, words
"""
COMMANDS = (
    ("ff-midas", ["-paramFN", "ps.txt", "-dataFN", "scan_000001.h5"]),
    ("ff-geometry", ["LayerNr_1", "-certificate", "0", "-refine", "Lsd,BC,tx,ty,tz"]),
    ("ff-stress", ["LayerNr_1", "-material", "nickel"]),
    ("ff-export", ["LayerNr_1"]),
    ("ff-report", ["LayerNr_1"]),
    ("ff-track", ["LayerNr_1", "LayerNr_1"]),
    ("ff-compare", ["LayerNr_1/Grains.csv", "LayerNr_1/Grains.csv", "-page", "compared.html"]),
)


def files_of(folder: Path) -> dict[str, str]:
    """What every file of a folder holds, without what tells times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not {"midas_log", "output"} & set(path.relative_to(folder).parts)
    }


@pytest.mark.long
def test_a_run_that_is_made_again(scan: TinyScan, tmp_path: Path) -> None:
    folder, made = tmp_path / "run", []
    for seed, threads in ((1, 1), (77, 2)):
        folder.mkdir()
        (folder / "ps.txt").write_bytes(scan.parameters.read_bytes())
        (folder / "scan_000001.h5").symlink_to(scan.raw)
        environment = os.environ | {
            "PYTHONHASHSEED": str(seed),
            "OMP_NUM_THREADS": str(threads),
            "SOURCE_DATE_EPOCH": "1700000000",
        }
        command = [sys.executable, "-c", PROGRAM.format(commands=COMMANDS)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append(files_of(folder))
        folder.rename(tmp_path / str(seed))
    first, second = made
    endings = {Path(name).suffix for name in first}
    assert {".html", ".png", ".h5", ".zip", ".csv", ".bin", ".txt", ".nxs", ".vtp"} <= endings
    assert [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)] == []
