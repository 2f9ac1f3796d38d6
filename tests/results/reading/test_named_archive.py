"""Which archive a consolidated file leads to (docs/security.md#what-is-read-from-where)."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import midas
from midas.formats.grains import GRAINS


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("scan.MIDAS.zip", "moved/scan.MIDAS.zip"),
        ("/nowhere/scan.MIDAS.zip", "moved/scan.MIDAS.zip"),
        ("below/other.MIDAS.zip", "moved/below/other.MIDAS.zip"),
        ("{tmp}/moved/below/other.MIDAS.zip", "moved/below/other.MIDAS.zip"),
        ("below/gone.MIDAS.zip", ""),
        ("", ""),
        ("a\nb", ""),
        ("..", "not read"),
        ("{tmp}/secret.MIDAS.zip", "not read"),
        ("../secret.MIDAS.zip", "not read"),
        ("{tmp}/moved/../secret.MIDAS.zip", "not read"),
        ("link.MIDAS.zip", "not read"),
        ("linked/secret.MIDAS.zip", "not read"),
        ("/net/host/\x1b[2J.MIDAS.zip", "not read"),
    ],
)
def test_which_archives_a_file_leads_to(
    named: str, found: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "moved"
    (folder / "below").mkdir(parents=True)
    for path in (tmp_path / "secret.MIDAS.zip", folder / "scan.MIDAS.zip", folder / "below" / "other.MIDAS.zip"):
        path.touch()
    (folder / "link.MIDAS.zip").symlink_to(tmp_path / "secret.MIDAS.zip")
    (folder / "linked").symlink_to(tmp_path)
    path = folder / "scan_consolidated.h5"
    with h5py.File(path, "w") as file:
        file["grains/summary"] = np.ones((1, len(GRAINS.columns)))
        file["parameters/SpaceGroup"], file["parameters/LatticeParameter"] = 225.0, [4.08, 4.08, 4.08, 90, 90, 90]
        file["raw_data_ref/zarr_path"] = named.format(tmp=tmp_path)
    with caplog.at_level("INFO", "midas"):
        archive = midas.read_results(path).archive
    assert archive == (tmp_path / found if found.endswith(".zip") else None)
    assert len(caplog.messages) == (found == "not read")
    assert all("and not read" in said and "\x1b" not in said for said in caplog.messages)
    assert midas.read_results(path, archive=folder / "scan.MIDAS.zip").archive == folder / "scan.MIDAS.zip"
