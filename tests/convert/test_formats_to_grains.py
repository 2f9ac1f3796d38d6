"""The demo sample in every format gives the same grains, byte for byte, through the whole pipeline."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from .demo_scan import analysed, demo_scan
from .raw_files import cbf, edf, ge, tiff

SIZES = "NrPixelsY 256\nNrPixelsZ 256\n"


@cache
def from_hdf5(folder: Path) -> bytes:
    """What the others must give."""
    scan = demo_scan()
    with h5py.File(folder / "scan.h5", "w") as file:
        file["exchange/data"], file["exchange/dark"] = scan.frames, scan.dark
    found = analysed(folder, scan.parameters, data_file=folder / "scan.h5")
    assert len(found.splitlines()) == 9 + 4
    return found


@pytest.fixture
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return from_hdf5(tmp_path_factory.getbasetemp())


def ge_by_the_manual(folder: Path) -> tuple[None, str]:
    """Named by the parameter file alone, as in the manual's first example."""
    data, keys = ge_files(folder)
    names = f"RawFolder {data.parent}\nFileStem scan\nExt .ge3\nStartFileNrFirstLayer 2\nPadding 6\n"
    return None, names + keys


def ge_files(folder: Path, suffix: str = "") -> tuple[Path, str]:
    scan = demo_scan()
    ge(folder / f"dark_000001.ge3{suffix}", scan.dark)
    return ge(folder / f"scan_000002.ge3{suffix}", scan.frames), f"Dark {folder}/dark_000001.ge3{suffix}\n{SIZES}"


def ge_sweep(folder: Path) -> tuple[Path, str]:
    """Three files, of which the later ones begin with a frame that does not count."""
    scan = demo_scan()
    parts = np.split(scan.frames, 3)
    for i, part in enumerate(parts):
        ge(folder / f"scan_{i + 9:06d}.ge3", np.concatenate([part[:1], part]))
    ge(folder / "dark.ge3", np.concatenate([scan.dark[:1], scan.dark]))
    return folder / "scan_000009.ge3", f"Dark {folder}/dark.ge3\nNrFilesPerSweep 3\nSkipFrame 1\n{SIZES}"


def ge_big_endian(folder: Path) -> tuple[Path, str]:
    scan = demo_scan()
    ge(folder / "dark.bin", scan.dark.astype(">i4"), 0)
    return ge(folder / "scan.bin", scan.frames.astype(">i4"), 0), (
        f"Dark {folder}/dark.bin\nHeadSize 0\nRawPixelType >i4\n{SIZES}"
    )


def tiff_series(folder: Path) -> tuple[Path, str]:
    scan = demo_scan()
    for i, frame in enumerate(scan.frames):
        tiff(folder / f"scan_{i + 1:06d}.tif", frame)
    tiff(folder / "dark.tif", scan.dark)
    return folder / "scan_*.tif", f"Dark {folder}/dark.tif\n"


def tiff_pages(folder: Path) -> tuple[Path, str]:
    scan = demo_scan()
    tiff(folder / "dark.tif", scan.dark)
    return tiff(folder / "scan.tif", scan.frames, compression="zlib"), f"Dark {folder}/dark.tif\n"


def cbf_series(folder: Path) -> tuple[Path, str]:
    """With the angles in the headers, and without OmegaStart and OmegaStep."""
    scan = demo_scan()
    for i, frame in enumerate(scan.frames):
        cbf(folder / f"scan_{i + 1:05d}.cbf", frame.astype("i4"), f"Start_angle {scan.omegas[i]:.4f} deg.")
    for i, frame in enumerate(scan.dark):
        cbf(folder / f"dark_{i}.cbf", frame.astype("i4"))
    return folder / "scan_00001.cbf", f"Dark {folder}/dark_*.cbf\nNrFilesPerSweep {len(scan.frames)}\n"


def edf_file(folder: Path, suffix: str = "") -> tuple[Path, str]:
    scan = demo_scan()
    headers = [{"motor_mne": "diffrz", "motor_pos": f"{omega}"} for omega in scan.omegas]
    edf(folder / "dark.edf", scan.dark)
    return edf(folder / f"scan.edf{suffix}", scan.frames, headers), f"Dark {folder}/dark.edf\n"


FORMATS = {
    "GE": ge_by_the_manual,
    "GE.bz2": lambda folder: ge_files(folder, ".bz2"),
    "GE sweep": ge_sweep,
    "raw i4, big-endian": ge_big_endian,
    "TIFF series": tiff_series,
    "TIFF pages, Deflate": tiff_pages,
    "CBF": cbf_series,
    "EDF": edf_file,
    "EDF.gz": lambda folder: edf_file(folder, ".gz"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_same_grains(tmp_path: Path, expected: bytes, name: str) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    data, keys = FORMATS[name](raw)
    before = sorted(path.name for path in raw.iterdir())
    text = demo_scan().parameters.replace("NrFilesPerSweep 1\n", "")
    if name == "CBF":
        text = "".join(line for line in text.splitlines(True) if not line.startswith(("OmegaStart", "OmegaStep")))
    assert analysed(tmp_path, f"{text}{keys}", data_file=data) == expected
    assert sorted(path.name for path in raw.iterdir()) == before
    shutil.rmtree(raw)
