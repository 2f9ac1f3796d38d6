"""``ff-convert`` on its command line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from tiny_scan import Call

from midas.archive import Archive
from midas.parameters import ANALYSIS


def test_what_is_only_recorded(tmp_path: Path, in_process: Call) -> None:
    """Sizes for raw files that have none of their own, and a step that nothing reads."""
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = np.ones((2, 8, 6), np.uint16)
    (tmp_path / "ps.txt").write_text("OmegaStart 0\nOmegaStep 1\n")
    arguments = ["-resultFolder", ".", "-paramFN", "ps.txt", "-dataFN", "scan.h5"]
    sizes = ["-numPxY", 6, "-numPxZ", 8, "-omegaStep", 0.25]
    assert in_process("ff-convert", *arguments, *sizes, cwd=tmp_path) == 0
    with Archive(tmp_path / "scan_000001.MIDAS.zip") as archive:
        for name, value in (("numPxY", 6), ("numPxZ", 8), ("omegaStep", 0.25)):
            dataset = archive.dataset(f"{ANALYSIS}{name}")
            assert dataset is not None and dataset.read().tolist() == [value]
        assert archive.frames.shape == (2, 8, 6)
