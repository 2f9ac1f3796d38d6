"""What a run starts from: one file of many, every file of a folder, a table of spots, a dataset of a file."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import FRAMES, GRAINS, Call, Finished, TinyScan, digests, prepare

from midas.archive import Archive
from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO
from midas.pipeline.options import Options
from midas.pipeline.plan import plans

PEAKS_ONLY = ("-peakSearchOnly", 1, "-nCPUs", 1)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line on stderr."""
    return capsys.readouterr().err.splitlines()[-1]


# ---------------------------------------------------------------- one file


@pytest.mark.parametrize("where", ["RawFolder", "path"])
def test_one_file_of_many(where: str, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    """Its number is that of the layer, and the range of layers does not count."""
    parameters = prepare(tmp_path, scan, "NrFilesPerSweep 1")
    shutil.copy(scan.raw, tmp_path / "raw data" / "other_0007.h5")
    content = parameters.read_bytes()
    name = "other_0007.h5" if where == "RawFolder" else tmp_path / "raw data" / "other_0007.h5"
    arguments = ["-paramFN", parameters, "-fileName", name, "-startLayerNr", 2, "-endLayerNr", 5]
    assert in_process("ff-midas", *arguments, *PEAKS_ONLY, cwd=tmp_path) == 0
    assert parameters.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] in (
        ["raw data", "analysis_other_0007"],
        ["analysis_other_0007", "raw data"],
    )
    with Archive(tmp_path / "analysis_other_0007" / "other_000007.MIDAS.zip") as archive:
        assert (archive.parameters["LayerNr"], len(archive.frames)) == (7, FRAMES)


@pytest.mark.parametrize(("stem", "name"), [("one", "one_005.MIDAS.zip"), ("one more", "one more_000005.MIDAS.zip")])
def test_the_first_of_two_files_of_a_scan(
    stem: str, name: str, scan: TinyScan, tmp_path: Path, in_process: Call
) -> None:
    """As the legacy driver: stem, ending and number go into the copied parameter file."""
    parameters = prepare(tmp_path, scan, "NrFilesPerSweep 2", "StartFileNrFirstLayer 40")
    frames = h5py.File(scan.raw)["exchange/data"][:]
    rows, columns = map(np.ravel, np.indices(frames.shape[1:]))
    cache = {}
    for i, frame in enumerate(frames[:3]):
        cache |= {f"{i}_row": rows, f"{i}_col": columns, f"{i}_data": frame.ravel()}
    for number in (5, 6):
        path = tmp_path / "raw data" / f"{stem}_{number:03d}.npz"
        np.savez(path, shape=frames.shape[1:], nframes=3, dtype="uint16", **cache)
    arguments = ["-paramFN", parameters, "-fileName", f"{stem}_005.npz", *PEAKS_ONLY]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    layer = tmp_path / f"analysis_{stem}_005"
    with Archive(layer / name) as archive:
        assert (archive.parameters["LayerNr"], len(archive.frames)) == (5, 6)


# ---------------------------------------------------------------- every file of a folder


def batch(folder: Path, scan: TinyScan, *names: str) -> Path:
    parameters = prepare(folder, scan, "StartFileNrFirstLayer 11")
    for path in (folder / "raw data").iterdir():
        path.unlink()
    for name in names:
        shutil.copy(scan.raw, folder / "raw data" / name)
    return parameters


def test_batch_of_files_with_gaps_and_darks(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a_000011.h5", "b c_000013.h5", "d_000014.h5", "Dark_000012.h5", "dark_b_000011.h5", "e_00012.h5"]
    parameters = batch(tmp_path, scan, *names, "f_000015.h5")
    (tmp_path / "raw data" / "d_000014.h5").write_bytes(b"broken")
    arguments = ["-paramFN", parameters, "-batchMode", 1, "-endLayerNr", 4, *PEAKS_ONLY]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 1
    out, err = capsys.readouterr()
    assert "Batch mode: 3 of 4 files <stem>_<6 digits>.h5 in " in err
    found = {path.parent.name: path.name for path in tmp_path.glob("LayerNr_*/*.MIDAS.zip")}
    assert found == {"LayerNr_1": "a_000011.MIDAS.zip", "LayerNr_3": "b c_000013.MIDAS.zip"}
    assert [line.split("  ")[0] for line in out.splitlines()[:3]] == ["Layer 1", "Layer 3", "Layer 4"]
    assert err.splitlines()[-1].startswith("ff-midas: 1 of 3 layers failed: layer 4: Failed to generate ZIP file: ")


@pytest.mark.parametrize(
    ("given", "layers"), [({}, [1, 3, 5]), ({"first_layer": 2}, [3, 5]), ({"last_layer": 4}, [1, 3])]
)
def test_a_batch_is_all_files_that_no_number_excludes(
    given: dict[str, int], layers: list[int], scan: TinyScan, tmp_path: Path
) -> None:
    parameters = batch(tmp_path, scan, "a_000011.h5", "b_000013.h5", "c_000015.h5")
    options = Options(parameter_file=parameters, result_folder=tmp_path, batch=True, **given).checked()
    assert [plan.number for plan in plans(options)] == layers


@pytest.mark.parametrize(
    ("names", "lines", "reason"),
    [
        (["a_000001.h5"], "", "Batch mode: no valid files found in the specified range: <stem>_<6 digits>.h5"),
        ([], "", "with numbers 11 ...; there are none with any number"),
        (["a_000011.h5", "b_000011.h5"], "", "holds a_000011.h5 and b_000011.h5; one number is one layer"),
        (["a_000011.h5"], "NrFilesPerSweep 2\n", "NrFilesPerSweep: 2: must be 1 for -batchMode"),
        (["a_000011.h5"], "RawFolder nowhere\n", "nowhere: is not a folder (RawFolder)"),
    ],
)
def test_a_batch_that_cannot_be(
    names: list[str],
    lines: str,
    reason: str,
    scan: TinyScan,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parameters = batch(tmp_path, scan, *names)
    parameters.write_text(parameters.read_text() + lines)
    assert in_process("ff-midas", "-paramFN", parameters, "-batchMode", 1, cwd=tmp_path) == 1
    assert reason in said(capsys)
    assert not list(tmp_path.glob("LayerNr_*"))


# ---------------------------------------------------------------- a table of spots


@pytest.mark.parametrize(("bins", "option"), [(None, None), (1, None), (None, 1), (1, 0)])
def test_bins_of_the_driver(
    bins: int | None, option: int | None, finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call
) -> None:
    """Only legacy programs read them: the driver writes them where option or parameters say so, ff-bin else."""
    shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    text = scan.parameters.read_text().replace("WriteLegacyBins 0", f"WriteLegacyBins {bins}" if bins else "")
    (tmp_path / "ps.txt").write_text(f"{text}EtaBinSize 5\nOmeBinSize 5\n")
    asked = [] if option is None else ["-legacyBins", option]
    run = ["-paramFN", "ps.txt", "-provideInputAll", 1, "-nCPUs", 1, *asked]
    assert in_process("ff-midas", *run, cwd=tmp_path) == 0
    layer, wanted = Layer(tmp_path / "LayerNr_1"), bool(bins if option is None else option)
    assert (layer.bins.exists(), layer.bin_counts.exists()) == (wanted, wanted)
    assert in_process("ff-bin", layer.folder, "--threads", 1, cwd=tmp_path) == 0
    assert layer.bins.exists() and layer.bin_counts.exists()


def test_a_table_of_a_part_of_a_turn(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without OmegaRange the reflections that lie outside are not expected."""
    table = EXTRA_INFO.read(finished[0] / "InputAllExtraInfoFittingAll.csv")
    part = table.take(np.abs(table["omega_ideal"]) < 30)
    part["spot_id"][:] = np.arange(1, len(part) + 1)
    EXTRA_INFO.write(tmp_path / "InputAllExtraInfoFittingAll.csv", part)
    lines = [line for line in scan.parameters.read_text().splitlines() if "Omega" not in line or "Step" in line]
    (tmp_path / "ps.txt").write_text("\n".join([*lines, ""]))
    assert in_process("ff-midas", "-paramFN", "ps.txt", "-provideInputAll", 1, "-nCPUs", 1, cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    assert f"%NumGrains {GRAINS}\n" in out and "give OmegaRange" in err
    assert read_grains(tmp_path / "LayerNr_1" / "Grains.csv")["Confidence"].min() > 0.9


def test_from_a_table_of_spots(
    finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of a run from frames gives its grains again."""
    shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    parameters = tmp_path / "ps.txt"
    parameters.write_text(f"{scan.parameters.read_text()}ResultFolder /nowhere\nRingsToExcludeFraction 5\n")
    before = parameters.read_bytes()
    arguments = ["-paramFN", "ps.txt", "-provideInputAll", 1, "-resultFolder", ".", "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert parameters.read_bytes() == before
    out, err = capsys.readouterr()
    assert f"%NumGrains {GRAINS}\n" in out and "WARNING" not in err
    layer = tmp_path / "LayerNr_1"
    for name in ("hkls.csv", "SpotsToIndex.csv", "InputAllExtraInfoFittingAll.csv"):
        assert (layer / name).read_bytes() == (finished[0] / name).read_bytes(), name
    assert (layer / "InputAll.csv").read_bytes() == (layer / "InputAllExtraInfoFittingAll.csv").read_bytes()
    grains, expected = read_grains(layer / "Grains.csv"), read_grains(finished[0] / "Grains.csv")
    for column in ("GrainID", "X", "Y", "Z", "a", "Confidence"):
        np.testing.assert_allclose(grains[column], expected[column], atol=1e-3)
    lines = (layer / "paramstest.txt").read_text().splitlines()
    first = next(line for line in (layer / "hkls.csv").read_text().splitlines()[1:] if line.split()[4] == "1")
    assert lines[:2] == [f"RingRadii {float(first.split()[-1])!r}", "RingNumbers 1"]
    assert f"ResultFolder {layer}/Results" in lines and "# ResultFolder /nowhere" in lines
    assert lines.count("RingsToExcludeFraction 5") == 1
    with h5py.File(layer / "output_consolidated.h5") as file:
        assert file["grains/summary"].shape[0] == GRAINS
        assert file["raw_data_ref/zarr_path"].asstr()[()] == ""
    kept = digests(layer)
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert digests(layer) == kept


def test_seed_grains_in_a_table_of_spots(finished: Finished, scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    arguments = ["-paramFN", scan.parameters, "-provideInputAll", 1, "-resultFolder", tmp_path, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, "-grainsFile", finished[0] / "Grains.csv", cwd=tmp_path) == 0
    assert len(read_grains(tmp_path / "LayerNr_1" / "Grains.csv")) == GRAINS


@pytest.mark.parametrize(
    ("table", "lines", "reason"),
    [
        (False, "", "InputAllExtraInfoFittingAll.csv: cannot be read (No such file or directory); -provideInputAll"),
        (True, "RingThresh 999 1\n", "layer 1: Spot table failed: "),
        (True, "OverAllRingToIndex 40\n", "OverAllRingToIndex: 40: must be one of the rings of RingThresh"),
        (
            True,
            "MinOmeSpotIDsToIndex 89.99\nMaxOmeSpotIDsToIndex 89.991\n",
            "layer 1: no seeds: none of the 24 accepted spots of ring 2",
        ),
    ],
)
def test_a_table_of_spots_that_leads_nowhere(
    table: bool,
    lines: str,
    reason: str,
    finished: Finished,
    scan: TinyScan,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if table:
        shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    (tmp_path / "ps.txt").write_text(scan.parameters.read_text() + lines)
    assert in_process("ff-midas", "-paramFN", "ps.txt", "-provideInputAll", 1, cwd=tmp_path) == 1
    assert reason in said(capsys)
    assert (tmp_path / "LayerNr_1").exists() is reason.startswith("layer 1")
    assert not list(tmp_path.rglob("Grains.csv"))


@pytest.mark.parametrize(
    ("options", "lines", "code", "reason"),
    [
        (("-provideInputAll", 1), "MeasureSpots 1\n", 1, "MeasureSpots: 1: does not go with -provideInputAll"),
        (("-provideInputAll", 1, "-measureSpots", 1), "", 2, "-measureSpots: 1: does not go with -provideInputAll"),
        (("-peakSearchOnly", 1, "-measureSpots", 1), "", 2, "-measureSpots: 1: does not go with -peakSearchOnly"),
        (("-reprocess", 1, "-measureSpots", 1), "", 2, "-measureSpots: 1: does not go with -reprocess"),
    ],
)
def test_spots_that_cannot_be_measured(
    options: tuple[object, ...],
    lines: str,
    code: int,
    reason: str,
    finished: Finished,
    scan: TinyScan,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said before anything is done."""
    shutil.copy(finished[0] / "InputAllExtraInfoFittingAll.csv", tmp_path)
    (tmp_path / "ps.txt").write_text(scan.parameters.read_text() + lines)
    assert in_process("ff-midas", "-paramFN", "ps.txt", *options, cwd=tmp_path) == code
    assert reason in said(capsys)
    assert not list(tmp_path.glob("LayerNr_*"))


# ---------------------------------------------------------------- datasets of a file


def test_other_datasets_and_another_dark(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    with h5py.File(scan.raw) as source, h5py.File(tmp_path / "scan.h5", "w") as file:
        file["entry/frames"] = source["exchange/data"][:2]
        file["entry/dark"] = np.full((1, 256, 256), 3, np.uint16)
    with h5py.File(tmp_path / "dark.h5", "w") as file:
        file["entry/dark"] = np.full((1, 256, 256), 5, np.uint16)
    for number, more in enumerate(([], ["-darkFN", tmp_path / "dark.h5"])):
        arguments = ["-paramFN", scan.parameters, "-dataFN", "scan.h5", "-dataLoc", "entry/frames", *more]
        arguments += ["-darkLoc", "entry/dark", "-resultFolder", str(number)]
        assert in_process("ff-midas", *arguments, *PEAKS_ONLY, cwd=tmp_path) == 0
        with Archive(tmp_path / str(number) / "LayerNr_1" / "scan_000001.MIDAS.zip") as archive:
            assert len(archive.frames) == 2
            assert archive.dark is not None and archive.dark[0][0, 0] == (5 if more else 3)
            assert archive.parameters["dataLoc"] == "entry/frames"
