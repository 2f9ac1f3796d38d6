"""Names of keys that nothing knows are written into the archive, and must not lead out of it where it is unpacked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_archive import frames_of

from midas.archive import set_dataset
from midas.convert.sweep import scan_names
from midas.parameters import ANALYSIS, Parameters
from midas.pipeline.calibration_request import parameters_of


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc/x", "..\\x", ".zarray", ".zgroup"])
def test_names_that_would_lead_elsewhere(name: str) -> None:
    written = [path for path, _ in Parameters.parse(f"Lsd 1000\n{name} 5\nKept 6\n").archive_datasets()]
    assert f"{ANALYSIS}Kept" in written and f"{ANALYSIS}{name}" not in written
    for path in written:
        assert not {"..", ".", ""} & set(path.split("/")) and "\\" not in path and "/.z" not in path


def test_a_stem_that_is_a_path_stays_in_the_folder_of_the_results() -> None:
    """Of the raw file it may be one; the archive is called after its last part."""
    for stem in ("sub/x", "../../x", "/etc/x"):
        text = f"RawFolder /raw\nFileStem {stem}\nExt .ge3\nStartFileNrFirstLayer 1\n"
        raw, archive = scan_names(Parameters.parse(text).for_stage("convert"), 1)
        assert raw.name == "x_000001.ge3" and archive == "x_000001.MIDAS.zip"
    assert scan_names(Parameters.parse("dataFN ../../y.h5").for_stage("convert"), 1)[1] == "y_000001.MIDAS.zip"


def test_panel_shifts_that_an_archive_names_stay_in_the_output_folder(written: Callable[..., Path]) -> None:
    """The calibration writes them; a parameter file may say where, an archive only how they are called."""
    archive = written(frames_of())
    set_dataset(archive, f"{ANALYSIS}PanelShiftsFile", np.array([b"/home/somebody/.profile"]))
    parameters, folder = parameters_of(archive)
    assert (parameters["PanelShiftsFile"], folder) == (".profile", archive.parent)
    own = archive.with_name("ps.txt")
    own.write_text("PanelShiftsFile /home/somebody/shifts.txt\n")
    assert parameters_of(own)[0]["PanelShiftsFile"] == "/home/somebody/shifts.txt"
