"""Data that beamlines really write, and what programs of this kind made of them, through the driver.

Each test says what went wrong; docs/reliability.md lists where the others of the kind are.
"""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import Call, TinyScan


def frames_of(scan: TinyScan) -> np.ndarray:
    with h5py.File(scan.raw) as file:
        return file["exchange/data"][()]


def write(path: Path, location: str, frames: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(location, data=frames, chunks=(1, *frames.shape[1:]), compression="lzf")


def test_a_source_of_a_virtual_dataset_that_is_missing(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """HDF5 reads zeros there without an error: a sixth of the scan was lost, and nobody was told."""
    parts = np.split(frames_of(scan), 6)
    layout = h5py.VirtualLayout((180, 256, 256), "u2")
    for number, part in enumerate(parts):
        write(tmp_path / f"part{number}.h5", "d", part)
        layout[30 * number : 30 * (number + 1)] = h5py.VirtualSource(f"part{number}.h5", "d", part.shape)
    with h5py.File(tmp_path / "scan_000001.h5", "w") as file:
        file.create_virtual_dataset("exchange/data", layout)
    (tmp_path / "part2.h5").unlink()
    before = sorted(tmp_path.iterdir())
    words = ("-paramFN", scan.parameters, "-dataFN", "scan_000001.h5")
    assert in_process("ff-midas", *words, cwd=tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "30 of 180 frames are lost: frames 60 ... 89 come from part2.h5, which is missing" in last
    assert not list(tmp_path.rglob("*.MIDAS.zip")) and not list(tmp_path.rglob("Grains.csv"))
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "LayerNr_1"] == before


@pytest.mark.parametrize("location", ["entry/data", None])
def test_a_master_file_is_a_scan(location: str | None, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """It was said to hold no frames; with the name of its first data file half of the scan was all of it."""
    frames = frames_of(scan).astype("u4")
    for number, half in enumerate(np.split(frames, 2), 1):
        write(tmp_path / f"s_data_00000{number}.h5", "entry/data/data", half)
    with h5py.File(tmp_path / "s_master.h5", "w") as file:
        for number in (1, 2):
            link = h5py.ExternalLink(f"s_data_00000{number}.h5", "entry/data/data")
            file[f"entry/data/data_00000{number}"] = link
    text = scan.parameters.read_text() + (f"dataLoc {location}\n" if location else "")
    (tmp_path / "ps.txt").write_text(text)
    words = ("-paramFN", "ps.txt", "-dataFN", "s_master.h5", "-peakSearchOnly", 1)
    assert in_process("ff-midas", *words, cwd=tmp_path) == 0
    assert len(list((tmp_path / "LayerNr_1" / "Temp").glob("*_PS.csv"))) == len(frames)


def test_a_background_that_lights_up_a_ring(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """One region of thousands of pixels, each of them a maximum: a frame took minutes, and a scan never ended."""
    frame = frames_of(scan)[:1]
    z, y = np.mgrid[:256, :256] - 128
    lit = np.abs(800 * np.hypot(y, z) - 49264) < 1200
    frame[:, lit] += 100
    write(tmp_path / "scan_000001.h5", "exchange/data", frame)
    started = time.process_time()
    words = ("-paramFN", scan.parameters, "-dataFN", "scan_000001.h5", "-nCPUs", 1, "-peakSearchOnly", 1)
    assert in_process("ff-midas", *words, cwd=tmp_path) == 0
    assert time.process_time() - started < 10
    (table,) = (tmp_path / "LayerNr_1" / "Temp").glob("*_PS.csv")
    assert 1 <= len(table.read_text().splitlines()) - 1 < 500
    assert lit.sum() > 1000
