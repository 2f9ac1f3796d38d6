"""The driver: the folder it leaves, what it says, that it writes what the separate commands write; and from Python."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import FRAMES, GRAINS, LOG_LINE, OMEGA_STEP, Call, Finished, TinyScan, digests

import midas
from midas.archive import Archive
from midas.calibration import sigma_of_grains
from midas.formats.grains import read_grains
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.uncertainty import NUMBERS, SIGMA_NAMES, UNITS, read_sigma
from midas.results.matching.compare import compare
from midas.runtime.errors import MidasError, ParameterError, UsageError

LOGS = (
    "hkls peaksearch0 merge_overlaps calc_radius fit_setup binning indexing0 refining0 process_grains grain_sigma"
).split()


def log_name(step: str, kind: str) -> str:
    name = step.rstrip("0")
    return f"{name}_{kind}{step[len(name) :]}.csv"


# ---------------------------------------------------------------- a run


def test_folder_of_a_layer(finished: Finished) -> None:
    layer, _ = finished
    found = {path.name for path in layer.iterdir()}
    assert found == {
        *("hkls.csv", "SpotsToIndex.csv", "InputAll.csv", "InputAllNoHeader.csv", "InputAllExtraInfoFittingAll.csv"),
        *("SpotOwners.csv", "GrainQuality.csv", "SeedVerdicts.csv", "GrainsSigma.csv"),
        *("MergeMap.csv", f"Radius_StartNr_1_EndNr_{FRAMES}.csv", f"Result_StartNr_1_EndNr_{FRAMES}.csv"),
        *("IDRings.csv", "IDsHash.csv", "paramstest.txt", "Spots.bin", "ExtraInfo.bin"),
        *("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv", "sim.analysis.MIDAS_consolidated.h5"),
        *(
            "sim.analysis.MIDAS_report.html",
            "sim.analysis.MIDAS_report.png",
            "sim.analysis.MIDAS.zip",
            "Parameters.txt",
            "Results",
            "Output",
            "Temp",
            "midas_log",
            "output",
        ),
    }
    refined = {"Key.bin", "Key.marks", "OrientPosFit.bin", "ProcessKey.bin"}
    assert {path.name for path in (layer / "Results").iterdir()} == refined
    indexed = {"FitBest.bin", "IndexBest.bin", "IndexBest.marks", "IndexBestFull.bin"}
    assert {path.name for path in (layer / "Output").iterdir()} == indexed
    assert len(list((layer / "Temp").glob("sim.analysis.MIDAS.zip_*_PS.csv"))) == FRAMES
    assert len(list((layer / "Temp").iterdir())) == 2 * FRAMES
    assert (layer / "output").readlink() == Path("midas_log")


def test_files_have_the_mode_of_the_umask(finished: Finished) -> None:
    """Others in the group read the results: nothing is for its owner only, as temporary files are at first."""
    mask = os.umask(0o022)
    os.umask(mask)
    for path in finished[0].rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~mask, path


def test_logs(finished: Finished) -> None:
    layer, _ = finished
    names = {log_name(step, kind) for step in LOGS for kind in ("out", "err")}
    found = {path.name for path in (layer / "output").iterdir()}
    later = {name for name in found if "_pass" in name}  # of a second look, where spots are left
    assert found - later == names | {"run.json", "ledger.json"}
    for step in LOGS:
        assert (layer / "midas_log" / log_name(step, "out")).stat().st_size > 0, step
        assert (layer / "midas_log" / log_name(step, "err")).stat().st_size == 0, step
    assert "Number of grains: 4." in (layer / "midas_log" / "process_grains_out.csv").read_text()
    peaks = (layer / "midas_log" / "peaksearch_out0.csv").read_text()
    assert peaks.count("FrameNr: ") == FRAMES
    assert "SpotID" not in peaks  # every message is in the log of its own step


def test_uncertainty_of_the_grains(finished: Finished) -> None:
    """The same from memory and from the files, in the text, the HDF5 file and the quality of the grains."""
    folder, _ = finished
    layer = Layer(folder, folder / "sim.analysis.MIDAS.zip")
    table, again = read_sigma(layer.grains_sigma), sigma_of_grains(layer)
    assert again.format() == layer.grains_sigma.read_bytes()
    assert table["GrainID"].tolist() == read_grains(layer.grains)["GrainID"].tolist()
    assert (table["Flag"] == 0).all() and (table["sX"] < 5).all() and (table["sX"] > 0).all()
    quality = GRAIN_QUALITY.read(layer.grain_quality)
    np.testing.assert_allclose(
        quality["SigmaPos"], np.linalg.norm(table.numbers(("sX", "sY", "sZ")), axis=1), rtol=1e-4
    )
    with h5py.File(layer.consolidated) as h5:
        assert h5["grains/sigma"][()].tolist() == table.numbers(SIGMA_NAMES).tolist()
        assert tuple(h5["grains/sigma"].attrs["column_names"]) == SIGMA_NAMES
        covariance = h5["grains/covariance"]
        assert covariance.attrs["frame"] == "sample"
        assert tuple(covariance.attrs["column_names"]) == NUMBERS and tuple(covariance.attrs["units"]) == UNITS
        np.testing.assert_allclose(np.sqrt(covariance[:, 0, 0]), table["sX"], rtol=1e-5)
        assert "geometry_response" not in h5["grains"]
        first = f"grain_{int(table['GrainID'][0]):04d}"
        assert h5[f"grains/{first}/sigma"][()].tolist() == h5["grains/sigma"][0].tolist()


def test_messages(finished: Finished) -> None:
    layer, result = finished
    lines = result.stdout.splitlines()
    assert lines[0] == f"First line of Grains.csv: %NumGrains {GRAINS}"
    assert f"{GRAINS} grains" in lines[1] and str(layer / "Grains.csv") in lines[2]
    messages = result.stderr.splitlines()
    assert all(LOG_LINE.match(line) for line in messages), result.stderr
    assert "WARNING" not in result.stderr
    done = r"INFO - Layer processing: 1/1 \(100%\), elapsed: [\d.]+ s - Layer 1 completed successfully$"
    assert re.search(done, messages[-2])
    assert messages[-1].endswith("INFO - All layers processed successfully")


def test_counts_stand_beside_the_seconds(finished: Finished) -> None:
    layer, result = finished
    numbers = {
        "hkls": "rings",
        "peaksearch": "peaks",
        "merge_overlaps": "merged spots",
        "calc_radius": "spots, 0 spots on no ring",
        "fit_setup": "accepted",
        "indexing": "indexed",
        "refining": "refined",
        "process_grains": "grains",
    }
    table = dict(re.findall(r"^  (\w+) +([\d.]+ s.*)$", result.stdout, re.M))
    said = dict(re.findall(r"INFO - (\w+): ([\d.]+ s.*)$", result.stderr, re.M))
    for step, label in numbers.items():
        assert re.match(rf"[\d.]+ s, \d+ {label}", said[step]), step
        assert re.match(rf"[\d.]+ s  \d+ {label}", table[step]), step
    peaks = sum(len(path.read_text().splitlines()) - 1 for path in (layer / "Temp").glob("*_PS.csv"))
    seeds = len((layer / "SpotsToIndex.csv").read_text().splitlines())
    first = result.stdout.splitlines()[1]
    assert re.search(rf"{GRAINS} grains from {peaks} peaks, \d+ merged spots, {seeds} seeds, \d+ indexed$", first)
    assert result.stdout.splitlines()[-1].split(None, 1)[1].startswith(f"open {layer}/sim.analysis.MIDAS_report.html")


def test_results_are_true(finished: Finished, scan: TinyScan) -> None:
    layer, _ = finished
    found = compare(scan.truth, layer / "Grains.csv", omega_step=OMEGA_STEP, turn_positions=True)
    assert (found.true_count, found.recovered, found.spurious) == (GRAINS, GRAINS, 0)
    assert found.misorientation.max() < 0.02 and found.distance.max() < 3.0


def test_consolidated_results(finished: Finished) -> None:
    layer, _ = finished
    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        np.testing.assert_allclose(file["grains/summary"][:], read_grains(layer / "Grains.csv").columns.T)
        assert file["raw_data_ref/zarr_path"].asstr()[()] == str(layer / "sim.analysis.MIDAS.zip")
        spots = file["spot_matrix/data"][:]
        grain, spot = spots[0, :2].astype(int)
        assert f"grains/grain_{grain:04d}/spots/spot_{spot:06d}/constituent_peaks" in file
    with Archive(layer / "sim.analysis.MIDAS.zip") as archive:
        assert archive.parameters["ResultFolder"] == f"{layer}/"
        ids = archive.dataset("analysis/provenance/grain_spots/spot_ids")
        assert ids is not None and ids.read().tolist() == spots[:, 1].tolist()


def test_user_files_stay_as_they_are(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    for path in (scan.parameters, scan.archive):
        shutil.copy(path, tmp_path)
    before = digests(tmp_path) | {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    arguments = ["-paramFN", scan.parameters.name, "-dataFN", scan.archive.name, "-convertFiles", 0]
    assert in_process("ff-midas", *arguments, "-rawDir", "elsewhere", "-peakSearchOnly", 1, cwd=tmp_path) == 0
    shutil.rmtree(tmp_path / "LayerNr_1")
    assert digests(tmp_path) | {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_separate_commands_write_the_same_files(
    finished: Finished, in_process: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    """The nine legacy commands in the emptied folder of the layer, as the legacy driver called them."""
    layer, _ = finished
    kept = layer.with_name("kept")
    shutil.copytree(layer, kept, symlinks=True)
    try:
        for path in layer.iterdir():
            if path.name not in ("sim.analysis.MIDAS.zip", "Parameters.txt", "midas_log"):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        archive = "sim.analysis.MIDAS.zip"
        run = [
            ("GetHKLListZarr", archive),
            ("PeaksFittingOMPZarrRefactor", archive, 0, 1, 2),
            ("MergeOverlappingPeaksAllZarr", archive),
            ("CalcRadiusAllZarr", archive),
            ("FitSetupZarr", archive),
            ("SaveBinData",),
            ("IndexerOMP", "paramstest.txt", 0, 1, "seeds", 2),
            ("FitPosOrStrainsOMP", "paramstest.txt", 0, 1, "seeds", 2),
            ("ProcessGrainsZarr", archive),
        ]
        for name, *arguments in run:
            seeds = layer / "SpotsToIndex.csv"
            count = len(seeds.read_text().splitlines()) if seeds.exists() else 0
            code = in_process(name, *(count if a == "seeds" else a for a in arguments), cwd=layer)
            assert (code, capfd.readouterr().err) == (0, "")
        assert digests(layer) == digests(kept)
    finally:
        shutil.rmtree(layer)
        kept.rename(layer)


# ---------------------------------------------------------------- again


def test_reprocess_in_a_moved_folder(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "moved" / "LayerNr_2", symlinks=True)
    shutil.copytree(finished[0], tmp_path / "moved" / "LayerNr_10", symlinks=True)
    layers = [tmp_path / "moved" / name for name in ("LayerNr_2", "LayerNr_10")]
    for layer in layers:
        for name in ("MergeMap.csv", "sim.analysis.MIDAS_consolidated.h5"):
            (layer / name).unlink()
    assert in_process("ff-midas", "-reprocess", 1, "-resultFolder", "moved", cwd=tmp_path) == 0
    err = capsys.readouterr().err
    assert err.index("LayerNr_2") < err.index("LayerNr_10")
    for layer in layers:
        assert digests(layer) == digests(finished[0])
        assert (layer / "midas_log" / "merge_overlaps_reprocess_out.csv").stat().st_size > 0
        with Archive(layer / "sim.analysis.MIDAS.zip") as archive:
            assert archive.parameters["ResultFolder"] == f"{layer}/"
    assert contents(layers[1]) == contents(finished[0])


def contents(layer: Path) -> dict[str, tuple[object, ...]]:
    """Everything in the consolidated HDF5 but the places it names."""
    found: dict[str, tuple[object, ...]] = {}

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        attributes = repr({key: np.asarray(value).tolist() for key, value in item.attrs.items()})
        value = np.asarray(item[()] if isinstance(item, h5py.Dataset) else b"")
        content = repr(value.tolist()) if value.dtype == object else value.tobytes()
        found[name] = (value.dtype, value.shape, content, attributes)

    with h5py.File(layer / "sim.analysis.MIDAS_consolidated.h5") as file:
        file.visititems(add)
    return {name: value for name, value in found.items() if name != "raw_data_ref/zarr_path"}


def test_reprocess_goes_on_after_a_failure(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished[0], tmp_path / "LayerNr_2", symlinks=True)
    (tmp_path / "LayerNr_2" / "MergeMap.csv").unlink()
    (tmp_path / "LayerNr_1").mkdir()
    assert in_process("ff-midas", "-reprocess", 1, cwd=tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("ff-midas: Failed to reprocess 1 of 2 layers: ") and "LayerNr_1" in last
    assert (tmp_path / "LayerNr_2" / "MergeMap.csv").exists()


def test_reprocess_does_not_choose_between_two_archives(
    finished: Finished, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results of this scan from the frames of another would look as good."""
    layer = Path(shutil.copytree(finished[0], tmp_path / "LayerNr_1", symlinks=True))
    shutil.copy(layer / "sim.analysis.MIDAS.zip", layer / "other_000002.MIDAS.zip")
    before = digests(layer)
    assert in_process("ff-midas", "-reprocess", 1, cwd=tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "other_000002.MIDAS.zip" in last and "sim.analysis.MIDAS.zip" in last
    assert digests(layer) == before


def test_a_second_run_gives_the_same(scan: TinyScan, tmp_path: Path, in_process: Call) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.raw, "-nCPUs", 2, "-perSpotGroups", 0]
    layer = tmp_path / "LayerNr_1"
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    first = digests(layer)
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    assert digests(layer) == first
    assert (layer / "scan_000001.MIDAS.zip.old").exists()


# ---------------------------------------------------------------- from Python


def test_from_python(finished: Finished, scan: TinyScan, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = (logging.getLogger("midas").handlers[:], logging.getLogger("midas").level)
    result = midas.run(scan.parameters, scan.raw, result_folder=tmp_path / "results", threads=2)
    assert (logging.getLogger("midas").handlers, logging.getLogger("midas").level) == before
    assert capfd.readouterr() == ("", "")
    (layer,) = result.data
    assert layer.number == 1
    assert layer.layer.folder == tmp_path / "results" / "LayerNr_1"
    np.testing.assert_array_equal(layer.grains.columns, read_grains(layer.layer.grains).columns)
    np.testing.assert_array_equal(layer.grains["X"], read_grains(finished[0] / "Grains.csv")["X"])
    assert len(layer.spot_matrix) == len(layer.layer.spot_matrix.read_text().splitlines()) - 1
    assert "FrameNr: 0" in (layer.layer.logs / "peaksearch_out0.csv").read_text()
    assert list(layer.seconds)[:3] == ["ZipOut", "hkls", "peaksearch"]


def test_peaks_from_python(scan: TinyScan, tmp_path: Path) -> None:
    (layer,) = midas.run(data_file=scan.archive, result_folder=tmp_path, convert=False, peak_search_only=True).data
    assert layer.grains is None and layer.layer.peaks(1).exists()


def test_errors_from_python(scan: TinyScan, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="must be provided"):
        midas.run()
    with pytest.raises(UsageError, match="endLayerNr"):
        midas.run(scan.parameters, first_layer=2, last_layer=1)
    for values, reason in (
        ({"threads": "4"}, "threads must be a whole number or None, not '4'"),
        ({"threads": True}, "threads must be a whole number"),
        ({"last_layer": 2.0}, "last_layer must be a whole number or None, not 2.0"),
        ({"report": "no"}, "report must be True or False, not 'no'"),
        ({"convert": 2}, "convert must be True or False, not 2"),
        ({"grains_file": 3}, "grains_file must be a path or None, not 3"),
        ({"result_folder": None}, "result_folder must be a path, not None"),
        ({"data_location": None}, "data_location must be text, not None"),
        ({"layers": 3}, "no such option: layers"),
    ):
        with pytest.raises(TypeError, match=re.escape(reason)):
            midas.run(scan.parameters, **values)
    with pytest.raises(MidasError, match="nothing.txt"):
        midas.run("nothing.txt", result_folder=tmp_path)
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "LatticeParameter 4 4 4 90 90 200\n")
    with pytest.raises(ParameterError, match="line 71: LatticeParameter: 4 4 4 90 90 200: angles must lie"):
        midas.run(parameters, scan.raw, result_folder=tmp_path)
    assert capfd.readouterr().out == ""


def test_a_ring_that_is_not_there_is_said_once(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "RingThresh 77 10\n")
    assert in_process("ff-midas", "-paramFN", "ps.txt", "-dataFN", scan.raw, "-nCPUs", 1, cwd=tmp_path) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line and "ring" in line]
    assert len(warnings) == 1 and "line 71: RingThresh: 77 10: ring 77 lies beyond RhoD" in warnings[0]


def test_a_program_hears_what_it_wants_to_hear(
    finished: Finished, scan: TinyScan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings once, and none of the many lines that the files in midas_log/ get."""
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "EndNr 99\nRingThresh 40 80\nOperator Anna\n")
    caplog.set_level(logging.WARNING)
    (layer,) = midas.run(parameters, scan.raw, result_folder=tmp_path).data
    said = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
    assert [sentence.partition(": ")[0] for sentence in said] == ["EndNr", "RingThresh", "Operator"]
    assert [sentence.split(": ")[-1] for sentence in said[:1]] == [
        "the scan has 180 frames, all of which are used; is scan_000001.h5 complete, and the right one?"
    ]
    caplog.clear()
    caplog.set_level(logging.INFO, "midas")
    midas.run(parameters, scan.raw, result_folder=tmp_path, peak_search_only=True)
    assert len(caplog.records) > FRAMES
