"""A run that goes on sees what has changed in the files in which a raw file has its data."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import TinyScan

import midas
from midas.archive import Archive


def test_data_behind_links_count(scan: TinyScan, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A master whose frames are in a file beside it, and a number in one elsewhere, which -allowLinks lets in."""
    (tmp_path / "raw").mkdir()
    part, away = Path(shutil.copy(scan.raw, tmp_path / "raw/data_000001.h5")), tmp_path / "away.h5"
    raw, parameters = tmp_path / "raw/scan_000001.h5", Path(shutil.copy(scan.parameters, tmp_path))
    with h5py.File(away, "w") as file:
        file["x"] = 7.0
    with h5py.File(raw, "w") as file:
        file["exchange/data"] = h5py.ExternalLink(part.name, "exchange/data")
        file["instrument/away"] = h5py.ExternalLink(str(away), "x")
    archive_file = tmp_path / "results/LayerNr_1/scan_000001.MIDAS.zip"

    def said(**options: object) -> str:
        caplog.clear()
        with caplog.at_level(logging.INFO, "midas.pipeline.resume"):
            midas.run(
                parameter_file=parameters, data_file=raw, result_folder=tmp_path / "results", threads=1, report=False,
                resume=1, peak_search_only=True, **options,
            )  # fmt: skip
        return "\n".join(r.getMessage() for r in caplog.records if "Again: ZipOut" in r.getMessage())

    said()
    assert said() == ""
    with h5py.File(part, "r+") as file:
        file["exchange/data"][90] = 0
    assert "raw has changed" in said()
    with Archive(archive_file) as archive:
        assert not np.asarray(archive.frames[90]).any()
        assert archive.dataset("instrument/away") is None
    assert "raw has changed" in said(allow_links=True)
    with Archive(archive_file) as archive:
        stored = archive.dataset("instrument/away")
        assert stored is not None and stored.read() == 7.0
    assert said(allow_links=True) == ""
