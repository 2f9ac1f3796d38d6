"""The check of the parameters: silent about what is right, and what `ff-check` prints."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_scan import Call, TinyScan

from midas.diagnosis.check import PEAK_SEARCH, Finding, Report, Request, examine
from midas.diagnosis.check.region import _overlap
from midas.diagnosis.check.spelling import without_effect
from midas.diagnosis.check.units import USUAL
from midas.parameters.table import FOREIGN_FLOATS, FOREIGN_INTS, FOREIGN_OTHERS, FOREIGN_WORDS, KEYS
from midas.runtime.errors import Mistakes
from midas.simulation import samples


def findings(path: Path, **more: object) -> list[str]:
    report = examine(Request(path, needs_frames=False, **more), without_effect)
    return [finding.text(path) for finding in report.findings if "What depends on the frames" not in finding.reason]


# ---------------------------------------------------------------- nothing to say


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_samples_are_right(name: str, tmp_path: Path) -> None:
    assert findings(samples.write(name, tmp_path)) == []


@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_legacy_runs_are_right(name: str, golden: Callable[[str], Path]) -> None:
    folder = golden(name)
    archive = folder / f"{name}.MIDAS.zip"
    assert findings(folder / "Parameters.txt", data_file=str(archive)) == []
    assert findings(archive, converts=False, archive=archive) == []


@pytest.mark.parametrize("name", ["ruby_ff1", "ruby_ff2"])
def test_real_data_are_right(name: str, shared: Path) -> None:
    folder = shared / "golden" / "ruby"
    if not folder.is_dir():
        pytest.skip("needs the ruby data")
    assert findings(folder / f"{name}.txt", data_file=str(folder / f"m{name}.npz")) == []


def test_the_tiny_scan_is_right(scan: TinyScan) -> None:
    assert findings(scan.parameters, data_file=str(scan.raw)) == []
    assert findings(scan.archive, converts=False, archive=scan.archive) == []


def test_keys_of_other_programs_are_no_mistakes(scan: TinyScan, tmp_path: Path) -> None:
    path = tmp_path / "ps.txt"
    foreign = sorted(FOREIGN_FLOATS | FOREIGN_INTS | FOREIGN_OTHERS | FOREIGN_WORDS)
    path.write_text(scan.parameters.read_text() + "".join(f"{name} 1\n{name.lower()} 1\n" for name in foreign))
    said = findings(path, data_file=str(scan.raw))
    assert said == []
    assert not (FOREIGN_OTHERS & KEYS.keys())


def test_equal_repetitions_are_no_mistakes(scan: TinyScan, tmp_path: Path) -> None:
    path = tmp_path / "ps.txt"
    text = scan.parameters.read_text()
    path.write_text(text + "Lsd 500000.0\nMaxRingRad 102400\n")
    assert findings(path, data_file=str(scan.raw)) == []


# ---------------------------------------------------------------- what it depends on


def missing(report: Report) -> set[str]:
    return {finding.key for finding in report.findings if "is missing" in finding.reason}


def test_only_what_a_run_needs_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "ps.txt"
    path.write_text("Padding 6\n")
    crystal = {"Lsd", "Wavelength", "LatticeParameter", "SpaceGroup", "RhoD"}
    assert missing(examine(Request(path, parts=()))) == set()
    assert missing(examine(Request(path, parts=PEAK_SEARCH))) == {*crystal, "RingThresh"}
    others = {"BC", "px", "OmegaStep", "RingThresh", "Width", "Rsample", "Hbeam", "OverAllRingToIndex"}
    assert missing(examine(Request(path))) == crystal | others
    path.write_text("WidthTthPx 800\nDoFullImage 1\n")
    assert missing(examine(Request(path))) == crystal | others - {"Width"}
    assert missing(examine(Request(path, parts=PEAK_SEARCH))) == {*crystal, "RingThresh"}


def test_a_raw_file_that_knows_its_angles_needs_no_step(scan: TinyScan, tmp_path: Path) -> None:
    frames = {f"{i}_{part}": np.array([1], np.uint16) for i in range(3) for part in ("row", "col", "data")}
    omega = np.array([[i, i + 1.0] for i in range(3)])
    np.savez(tmp_path / "scan.npz", shape=[256, 256], nframes=3, dtype="uint16", omega=omega, **frames)
    path = tmp_path / "ps.txt"
    kept = [line for line in scan.parameters.read_text().splitlines() if not line.startswith("Omega")]
    path.write_text("\n".join([*kept, "MinOmeSpotIDsToIndex 0", "MaxOmeSpotIDsToIndex 3", ""]))
    report = examine(Request(path, data_file=str(tmp_path / "scan.npz")))
    assert report.errors == []
    assert report.subject.covered == ((0.0, 3.0),)


def test_values_of_an_archive_have_no_lines(scan: TinyScan, tmp_path: Path) -> None:
    settings = {"Completeness": 80.0, "SpaceGroup": 231}
    report = examine(Request(scan.archive, converts=False, archive=scan.archive, settings=settings))
    assert report.errors == [
        f"{scan.archive}: SpaceGroup: 231: must lie in 1 ... 230",
        f"{scan.archive}: Completeness: 80: looks like percent; it lies in 0 ... 1: write 0.8",
    ]


def test_an_option_is_named_in_place_of_its_key(scan: TinyScan) -> None:
    request = Request(
        scan.parameters, data_file=str(scan.raw), settings={"Dark": ("no.h5",)}, options={"Dark": "-darkFN"}
    )
    (error,) = examine(request).errors
    assert error.startswith(f"{scan.parameters}: -darkFN: no.h5: there is no such file")


def test_of_several_layers_each_speaks_for_its_files(scan: TinyScan, tmp_path: Path) -> None:
    path = tmp_path / "ps.txt"
    path.write_text(scan.parameters.read_text() + "RawFolder no\nFileStem a\nExt .h5\nStartFileNrFirstLayer 1\n")
    assert len(examine(Request(path)).errors) == 1
    assert examine(Request(path, several=True)).errors == []


def test_a_conversion_is_only_warned_of_what_the_analysis_needs(scan: TinyScan, tmp_path: Path) -> None:
    path = tmp_path / "ps.txt"
    path.write_text(scan.parameters.read_text().replace("BC 128 128", "BC 4000 128"))
    request = Request(path, data_file=str(scan.raw), parts=())
    assert examine(request).errors == []
    assert "lies far beside the image" in examine(request).warnings[0]


def test_compressed_files_are_not_opened(scan: TinyScan, tmp_path: Path) -> None:
    (tmp_path / "scan_000001.ge3.bz2").write_bytes(b"would take long")
    report = examine(Request(scan.parameters, data_file=str(tmp_path / "scan_000001.ge3.bz2")))
    assert report.errors == [] and report.subject.scan is None


# ---------------------------------------------------------------- parts of it


@pytest.mark.parametrize("name", [name for name, usual in USUAL.items() if usual.others])
def test_every_unit_is_recognised(name: str, scan: TinyScan, tmp_path: Path) -> None:
    """The value of the sample in each other unit, found by inverting the conversion numerically."""
    right = {"Lsd": 5e5, "px": 800, "Wavelength": 0.172979, "Rsample": 1000, "Hbeam": 400}.get(name, 500.0)
    path = tmp_path / "ps.txt"
    kept = [line for line in scan.parameters.read_text().splitlines() if line.split()[0] != name]
    for unit in USUAL[name].others:
        if unit.name == "cm":
            continue  # the same digits are more likely mm
        per_unit = unit.convert(1.0)
        wrong = right / per_unit if unit.convert(2.0) > per_unit else per_unit / right
        path.write_text("\n".join([*kept, f"{name} {wrong!r}", ""]))
        (said,) = [text for text in findings(path) if f": {name}: " in text]
        assert said.endswith(f"looks like {unit.name}; {name} is in {KEYS[name].unit}: write {right:.6g}"), said


def test_overlap_of_ranges_modulo_a_turn() -> None:
    covered = ((-180.0, -90.0), (0.0, 10.0), (170.0, 180.0))
    generator = np.random.default_rng(1)
    for low, width in zip(generator.integers(-720, 720, 200), generator.integers(1, 360, 200), strict=True):
        angles = np.arange(low, low + width, 0.5) + 0.25
        inside = np.zeros(len(angles), bool)
        for begin, end in covered:
            inside |= ((angles - begin) % 360) < end - begin
        assert _overlap(covered, (float(low), float(low + width))) == pytest.approx(inside.sum() * 0.5)


def test_a_finding_shows_numbers_as_a_user_writes_them() -> None:
    finding = Finding("is wrong", "BC", (128.0, 0.1), 3)
    assert finding.text(Path("ps.txt")) == "ps.txt, line 3: BC: 128 0.1: is wrong"


def test_mistakes_are_an_exception_with_a_line_each() -> None:
    error = Mistakes(["a", "b"])
    assert (str(error), error.lines, error.exit_code) == ("a\nb", ("a", "b"), 1)


# ---------------------------------------------------------------- the command


def test_the_table_says_where_everything_comes_from(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ps.txt"
    lines = [
        line for line in scan.parameters.read_text().splitlines() if not line.startswith(("OmegaRange", "BoxSize"))
    ]
    path.write_text("\n".join([*lines, ""]))
    assert in_process("ff-check", "-paramFN", path, "-dataFN", scan.raw, "-dataLoc", "exchange/data", cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    rows = {tuple(cell.strip() for cell in line.split("  ") if cell.strip()) for line in out.splitlines()}
    assert ("key", "value", "unit", "from") in rows
    assert ("Lsd", "500000", "µm", f"line {lines.index('Lsd 500000') + 1}") in rows
    assert ("LatticeParameter", "3.524 3.524 3.524 90 90 90", "Å, °", "line 1, as LatticeConstant") in rows
    assert ("RingThresh", "3 80", "counts", f"line {lines.index('RingThresh 3 80') + 1}") in rows
    assert ("MaxNFrames", "100000", "default") in rows
    assert ("dataLoc", "exchange/data", "-dataLoc") in rows
    assert ("OmegaRange", "-90 90", "°", "the scan") in rows
    assert ("BoxSize", "the whole detector", "default") in rows
    assert ("Check", "no errors, no warnings") in rows
    assert err == "" and [entry.name for entry in tmp_path.iterdir()] == ["ps.txt"]


def test_where_the_beam_is(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """160 rows, flipped in a square of 256: the beam in row 60 of the raw frame is at Z = 195."""
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file["exchange/data"] = np.zeros((180, 160, 256), np.uint8)
    path = tmp_path / "ps.txt"
    text = scan.parameters.read_text().replace("BC 128 128", "BC 128 195").replace("NrPixels 256\n", "")
    path.write_text(text.replace("ImTransOpt 0", "ImTransOpt 2"))
    assert in_process("ff-check", path, "-dataFN", "wide.h5", cwd=tmp_path) == 0
    out = capsys.readouterr().out
    assert "image" in out and "256 x 160 padded; ImTransOpt 2" in out
    rows = {line.split("  ")[0]: line.split() for line in out.splitlines()}
    assert rows["beam in the image"][4:6] == ["128", "195"]
    assert rows["beam in the raw frame"][5:7] == ["128", "60"]


def test_errors_come_last_and_on_stderr(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ps.txt"
    path.write_text(scan.parameters.read_text() + "Operator Anna\nSpaceGroup 500\nMinEta x\nCompleteness 80\n")
    assert in_process("ff-check", path, "-dataFN", scan.raw, cwd=tmp_path) == 1
    out, err = capsys.readouterr()
    assert "warning: " in out and "Operator" in out and "the last one counts" in out
    assert [line.split(": ")[2] for line in err.splitlines()] == ["SpaceGroup", "MinEta", "Completeness"]
    assert all(line.startswith(f"ff-check: {path}, line ") for line in err.splitlines())


def test_the_check_needs_a_file(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("ff-check", cwd=tmp_path) == 2
    assert "name the parameter file" in capsys.readouterr().err
    assert in_process("ff-check", "no.txt", cwd=tmp_path) == 1
    assert "no.txt: parameter file cannot be read" in capsys.readouterr().err


def test_options_of_the_command(
    scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each option that stands for a key is named where its value is wrong, and in the table where it is right."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "ps.txt").write_text(scan.parameters.read_text() + "FileStem scan\nExt .h5\nStartFileNrFirstLayer 5\n")
    words = ["-paramFN", "ps.txt", "-rawDir", "raw", "-layerNr", "3"]
    assert in_process("ff-check", *words, "-darkFN", "no.h5", "-grainsFile", "no.csv", cwd=tmp_path) == 1
    err = capsys.readouterr().err
    assert "-darkFN: no.h5: there is no such file" in err and "-grainsFile: no.csv: there is no such file" in err
    assert "scan_000007.h5" in err  # the third of those that begin with number 5
    shutil.copy(scan.raw, tmp_path / "raw" / "scan_000007.h5")
    shutil.copy(tmp_path / "ps.txt", tmp_path / "dark.txt")
    with (tmp_path / "dark.txt").open("a") as stream:
        stream.write("Dark elsewhere/dark.h5\n")
    assert in_process("ff-check", "dark.txt", *words[2:], cwd=tmp_path) == 1
    assert f"-rawDir: {tmp_path}/raw/dark.h5: there is no such file" in capsys.readouterr().err
    text = (tmp_path / "ps.txt").read_text()
    (tmp_path / "ps.txt").write_text(re.sub("^StepSizePos .*$", "", text, flags=re.M))
    words += ["-dataLoc", "exchange/data", "-darkLoc", "exchange/dark", "-peakSearchOnly", "1"]
    assert in_process("ff-check", *words, cwd=tmp_path) == 0
    out = capsys.readouterr().out
    origins = (("RawFolder", "-rawDir"), ("dataLoc", "-dataLoc"), ("darkLoc", "-darkLoc"))
    assert all(re.search(f"^{key} .*{flag}$", out, re.M) for key, flag in origins)
