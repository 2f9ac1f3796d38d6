"""The demo sample in every layout of HDF5 and as frame caches: the grains are the same to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from .demo_scan import DemoScan, analysed, demo_scan
from .hdf5_files import write_bliss, write_eiger, write_fch5, write_virtual
from .raw_files import write_hdf5, write_sparse

pytestmark = pytest.mark.slow


def _linked(folder: Path, scan: DemoScan) -> Path:
    write_hdf5(folder / "elsewhere.h5", scan.frames)
    with h5py.File(folder / "scan_000001.h5", "w") as file:
        file["exchange/data"] = h5py.ExternalLink("elsewhere.h5", "exchange/data")
    return folder / "scan_000001.h5"


def _ranges(scan: DemoScan) -> np.ndarray:
    return np.stack([scan.omegas, scan.omegas + 1], 1)


WRITERS: dict[str, Callable[[Path, DemoScan], Path]] = {
    "chunks": lambda folder, scan: write_hdf5(folder / "scan.ge5.h5", scan.frames, chunks=(1, 256, 256)),
    "gzip": lambda folder, scan: write_hdf5(
        folder / "scan_1.h5", scan.frames, compression="gzip", compression_opts=1, shuffle=True
    ),
    "bitshuffle": lambda folder, scan: write_hdf5(
        folder / "scan_1.hdf5", scan.frames, chunks=(1, 256, 256), **hdf5plugin.Bitshuffle()
    ),
    "virtual": lambda folder, scan: write_virtual(folder / "scan_1.h5", scan.frames, 6),
    "external link": _linked,
    "eiger": lambda folder, scan: write_eiger(folder, scan.frames, 4, scan.omegas),
    "bliss": lambda folder, scan: write_bliss(
        folder / "sample_0001.h5", {"1.1": (scan.frames, {"rot_center": scan.omegas + 0.5})}
    ),
    "npz": lambda folder, scan: write_sparse(folder / "scan_1.npz", scan.frames, scan.omegas, plain=True),
    "fch5": lambda folder, scan: write_fch5(folder / "scan_1.fch5", scan.frames, _ranges(scan)),
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Grains.csv of the frames and their dark in one plain file."""
    folder = tmp_path_factory.mktemp("plain")
    scan = demo_scan()
    path = write_hdf5(folder / "scan_000001.h5", scan.frames, scan.dark)
    return analysed(folder, scan.parameters, data_file=path)


@pytest.mark.parametrize("layout", WRITERS)
def test_the_same_grains(tmp_path: Path, layout: str, expected: bytes) -> None:
    scan = demo_scan()
    path = WRITERS[layout](tmp_path, scan)
    write_hdf5(tmp_path / "dark.h5", None, scan.dark)
    text = f"{scan.parameters}\nDark {tmp_path / 'dark.h5'}\n"
    assert analysed(tmp_path, text, data_file=path) == expected
    assert expected.count(b"\n") > 10
