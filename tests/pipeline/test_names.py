"""What archives and results are called, and which of several archives counts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import Call, Finished, TinyScan, prepare

from midas.archive import Archive, set_dataset
from midas.formats.layer import Layer, archive_name, earlier_archive_name, scan_name
from midas.parameters import ANALYSIS

PEAKS_ONLY = ("-peakSearchOnly", 1, "-nCPUs", 1)


@pytest.mark.parametrize(
    ("name", "stem", "number"),
    [
        ("/data/gold_2um_00012.ge5.h5", "gold_2um", 12),
        ("gold.nxs", "gold", 3),
        ("gold_7.TIF.gz", "gold", 7),
        ("a.b_5.cbf.bz2", "a.b", 5),
        ("0012.h5", "0012", 3),
        ("_12.h5", "_12", 3),
        ("eiger_1_master.h5", "eiger_1_master", 3),
        ("x.npz.analysis.MIDAS.zip", "x", 3),
        ("x_000004.MIDAS.zip", "x", 4),
        ("x_1.5um", "x_1.5um", 3),
        (".h5", ".h5", 3),
        ("gold_??_*.tif", "gold", 3),
        ("gold_2_[0-9]*.cbf.gz", "gold", 2),
        ("*.edf", "scan", 3),
        ("scan_1234567.fch5", "scan", 1234567),
    ],
)
def test_name_of_a_scan(name: str, stem: str, number: int) -> None:
    assert scan_name(name, 3) == (stem, number)
    assert archive_name(name, 3) == f"{stem}_{number:06d}.MIDAS.zip"


@pytest.mark.parametrize(
    ("archive", "data_file", "results"),
    [
        ("scan_000001.MIDAS.zip", "/data/scan.h5", "scan"),
        ("scan_000012.MIDAS.zip", "scan_12.ge5", "scan"),
        ("scan_000002.MIDAS.zip", "scan_12.ge5", "scan_000002.MIDAS"),
        ("scan_000001.MIDAS.zip", "", "scan_000001.MIDAS"),
        ("scan.h5.analysis.MIDAS.zip", "/data/scan.h5", "scan.h5.analysis.MIDAS"),
        (None, "", "output"),
    ],
)
def test_name_of_the_results(archive: str | None, data_file: str, results: str) -> None:
    layer = Layer(Path("layer"), None if archive is None else Path("layer", archive), data_file=data_file)
    assert layer.consolidated == Path("layer", f"{results}_consolidated.h5")
    assert layer.report == Path("layer", f"{results}_report.html")


def test_names_of_a_run_from_a_raw_file(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """The manual's names; processed again in any of the three ways, and by ff-grains, they are found."""
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, "-report", 1, "-perSpotGroups", 0, cwd=tmp_path) == 0
    layer = tmp_path / "LayerNr_1"
    files = {path.name: path for path in layer.iterdir()}
    assert {"scan_000001.MIDAS.zip", "scan_consolidated.h5", "scan_report.html"} <= files.keys()
    files["scan_consolidated.h5"].unlink()
    assert in_process("ff-midas", "-reprocess", 1, "-perSpotGroups", 0, cwd=tmp_path) == 0
    assert [path.name for path in layer.glob("*_consolidated.h5")] == ["scan_consolidated.h5"]
    again = ["-convertFiles", 0, "-doPeakSearch", 0, "-nCPUs", 1, "-perSpotGroups", 0]
    for named in (["-dataFN", scan.raw], ["-dataFN", layer / "scan_000001.MIDAS.zip"], []):
        assert in_process("ff-midas", "-paramFN", scan.parameters, *named, *again, cwd=tmp_path) == 0
        assert [path.name for path in layer.glob("*_consolidated.h5")] == ["scan_consolidated.h5"]
    assert in_process("ff-grains", "scan_000001.MIDAS.zip", cwd=layer) == 0
    assert not list(layer.glob("*_consolidated.h5"))  # of the grains that were


def test_archives_with_the_name_of_earlier_versions(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call
) -> None:
    layer = tmp_path / "LayerNr_1"
    layer.mkdir()
    earlier = layer / earlier_archive_name(scan.raw)
    shutil.copy(scan.archive, earlier)
    set_dataset(earlier, ANALYSIS + "dataFN", np.array([os.fsencode(scan.raw)]))
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, "-convertFiles", 0, "-perSpotGroups", 0, cwd=tmp_path) == 0
    assert (layer / "scan_000001.h5.analysis.MIDAS_consolidated.h5").exists()
    assert in_process("ff-midas", "-reprocess", 1, "-perSpotGroups", 0, cwd=tmp_path) == 0
    # A new conversion takes its place, so that the layer has one archive.
    assert in_process("ff-midas", *arguments, *PEAKS_ONLY, cwd=tmp_path) == 0
    assert [path.name for path in layer.glob("*.MIDAS.zip")] == ["scan_000001.MIDAS.zip"]
    assert earlier.with_name(f"{earlier.name}.old").exists()


def test_converting_an_archive_in_its_own_folder(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    layer = tmp_path / "LayerNr_1"
    layer.mkdir()
    shutil.copy(scan.archive, layer / "scan_000001.MIDAS.zip")
    (tmp_path / "ps.txt").write_text(f"{scan.parameters.read_text()}Completeness 0.55\n")
    arguments = ["-paramFN", "ps.txt", "-dataFN", layer / "scan_000001.MIDAS.zip", *PEAKS_ONLY]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    with Archive(layer / "scan_000001.MIDAS.zip") as new, Archive(layer / "scan_000001.MIDAS.zip.old") as old:
        assert new.parameters["Completeness"] == 0.55 != old.parameters["Completeness"]
        np.testing.assert_array_equal(new.frames[40], old.frames[40])


@pytest.mark.parametrize("layer", [1, 4])
def test_a_named_file_is_the_layer_that_was_asked_for(
    layer: int, scan: TinyScan, tmp_path: Path, in_process: Call
) -> None:
    """Of several layers it is the first, whose others are numbered files."""
    parameters = prepare(tmp_path, scan)
    shutil.copy(scan.raw, tmp_path / "other.h5")
    numbers = ["-startLayerNr", layer, "-endLayerNr", 4 if layer == 4 else 2]
    assert (
        in_process("ff-midas", "-paramFN", parameters, "-dataFN", "other.h5", *numbers, *PEAKS_ONLY, cwd=tmp_path) == 0
    )
    found = sorted(f"{path.parent.name}/{path.name}" for path in tmp_path.glob("LayerNr_*/*.MIDAS.zip"))
    if layer == 4:
        assert found == ["LayerNr_4/other_000004.MIDAS.zip"]
    else:
        assert found == ["LayerNr_1/other_000001.MIDAS.zip", "LayerNr_2/scan_000002.MIDAS.zip"]


# ---------------------------------------------------------------- copies


def run_from(archive: Path, folder: Path, in_process: Call, capsys: pytest.CaptureFixture[str], *more: object) -> str:
    """What the driver warns of in a run of the peak search from an archive."""
    assert in_process("ff-midas", "-dataFN", archive, *PEAKS_ONLY, *more, "-resultFolder", folder, cwd=folder) == 0
    return "\n".join(line for line in capsys.readouterr().err.splitlines() if "WARNING" in line)


def test_a_newer_archive_replaces_the_copy_of_an_earlier_run(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    given, copy = tmp_path / "scan.MIDAS.zip", tmp_path / "LayerNr_1" / "scan.MIDAS.zip"
    shutil.copy(scan.archive, given)
    assert run_from(given, tmp_path, in_process, capsys) == ""
    first = copy.stat().st_ino
    os.utime(given)  # the same content under a newer date is no change
    assert run_from(given, tmp_path, in_process, capsys) == ""
    assert copy.stat().st_ino == first
    set_dataset(given, ANALYSIS + "Completeness", np.array([0.5]))
    os.utime(given)
    said = run_from(given, tmp_path, in_process, capsys)
    assert "is newer than the copy of an earlier run and replaces it; the old one is scan.MIDAS.zip.old" in said
    assert "other frames" not in said
    with Archive(copy) as archive:
        assert archive.parameters["Completeness"] == 0.5
    assert copy.with_name("scan.MIDAS.zip.old").stat().st_ino == first


def test_a_copy_that_was_changed_counts_and_the_driver_says_so(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    given, copy = tmp_path / "scan.MIDAS.zip", tmp_path / "LayerNr_1" / "scan.MIDAS.zip"
    shutil.copy(scan.archive, given)
    run_from(given, tmp_path, in_process, capsys)
    set_dataset(copy, ANALYSIS + "Completeness", np.array([0.5]))
    said = run_from(given, tmp_path, in_process, capsys)
    assert f"{copy} was changed after it was copied from {given}, which is older and not used" in said
    with Archive(copy) as archive:
        assert archive.parameters["Completeness"] == 0.5


def test_other_frames_are_said_to_be_others(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "scan.MIDAS.zip"
    shutil.copy(scan.archive, given)
    run_from(given, tmp_path, in_process, capsys)
    with h5py.File(scan.raw) as source, h5py.File(tmp_path / "scan.h5", "w") as file:
        file["exchange/data"] = source["exchange/data"][1:4]
    (tmp_path / "converted").mkdir()
    arguments = ["-resultFolder", "converted", "-paramFN", scan.parameters, "-dataFN", "scan.h5"]
    assert in_process("ff-convert", *arguments, cwd=tmp_path) == 0
    shutil.move(tmp_path / "converted" / "scan_000001.MIDAS.zip", given)
    assert "has other frames: peaks in " in run_from(given, tmp_path, in_process, capsys)
