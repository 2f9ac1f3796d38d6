"""A run goes on where one before was interrupted, keeps what stands, and says what it does again and why."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
from tiny_scan import FRAMES, Call, TinyScan, digests

import midas
from midas.archive import Archive
from midas.formats.layer import Layer
from midas.formats.ledger import COMPLETE, STARTED, Ledger, read_ledger
from midas.pipeline.step_names import STEPS, steps_named
from midas.runtime.errors import StageError, UsageError
from midas.stages import merge

#: the steps of a run without options, in the order in which they run
ORDER = [name for name in STEPS if name not in ("first_look", "measure_spots", "refine_geometry", "report")]


@dataclass
class Place:
    """A finished run that a test may spoil.

    `parameters` is a file of its own, `folder` that of the results.
    """

    parameters: Path
    raw: Path
    folder: Path

    @property
    def layer(self) -> Layer:
        folder = self.folder / "LayerNr_1"
        return Layer(folder, folder / "scan_000001.MIDAS.zip", data_file=str(self.raw))

    def run(self, **options: object) -> None:
        midas.run(
            parameter_file=self.parameters,
            data_file=self.raw,
            result_folder=self.folder,
            threads=1,
            **{"report": False, **options},
        )

    def set(self, key: str, value: object) -> None:
        lines = [line for line in self.parameters.read_text().splitlines() if not line.startswith(f"{key} ")]
        self.parameters.write_text("\n".join([*lines, f"{key} {value}", ""]))

    def forget(self, *steps: str, state: str = "") -> None:
        """Take steps out of the ledger, or give them another state."""
        content = json.loads(self.layer.ledger.read_text())
        for entry in content["steps"]:
            if entry["step"] in steps and state:
                entry["state"] = state
        if not state:
            content["steps"] = [entry for entry in content["steps"] if entry["step"] not in steps]
        self.layer.ledger.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def finished(scan: TinyScan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Path, dict[str, str]]:
    base = tmp_path_factory.mktemp("resume")
    parameters = Path(shutil.copy(scan.parameters, base / "ps.txt"))
    place = Place(parameters, scan.raw, base / "results")
    place.run()
    shutil.copytree(base, base.with_name(f"{base.name} kept"), symlinks=True)
    return place, base.with_name(f"{base.name} kept"), digests(place.layer.folder)


@pytest.fixture
def place(finished: tuple[Place, Path, dict[str, str]]) -> Iterator[Place]:
    """The finished run, as it was when it had finished."""
    place, kept, _ = finished
    yield place
    shutil.rmtree(place.folder.parent)
    shutil.copytree(kept, place.folder.parent, symlinks=True)


@pytest.fixture
def same(place: Place, finished: tuple[Place, Path, dict[str, str]]) -> Callable[[], bool]:
    """Whether all results are those of the finished run."""
    return lambda: digests(place.layer.folder) == finished[2]


@pytest.fixture
def again(place: Place, caplog: pytest.LogCaptureFixture) -> Callable[..., tuple[list[str], str]]:
    """Go on; the steps that ran again, and what was said about it."""

    def run(**options: object) -> tuple[list[str], str]:
        before = {name: entry.number for name, entry in read_ledger(place.layer.ledger).entries.items()}
        caplog.clear()
        with caplog.at_level(logging.INFO, "midas.pipeline.resume"):
            place.run(**({"resume": 1} | options))
        entries = read_ledger(place.layer.ledger).entries
        assert all(entry.state == COMPLETE for entry in entries.values())
        ran = [name for name in ORDER if entries[name].number != before.get(name)]
        said = [r.getMessage() for r in caplog.records if r.name == "midas.pipeline.resume" and "Again" in r.msg]
        return ran, "\n".join(said)

    return run


def test_what_stands_is_kept(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    states = {path: path.stat().st_mtime_ns for path in place.layer.folder.glob("*.*")}
    assert again() == ([], "")
    volatile = (place.parameters.name,)  # the copy of the user's file
    changed = [p.name for p, time in states.items() if p.stat().st_mtime_ns != time and p.name not in volatile]
    assert changed == []


@pytest.mark.parametrize(
    ("key", "value", "first", "reason"),
    [
        ("MinNrSpots", 2, "process_grains", "parameter MinNrSpots is 2, was 1"),
        ("SigmaFloor", 0.01, "grain_sigma", "parameter SigmaFloor is 0.01, was 0.005 (default)"),
        ("IndexPasses", 1, "fit_setup", "parameter IndexPasses is 1, was 3 (default)"),
    ],
)
def test_a_changed_parameter_runs_from_the_first_step_that_reads_it(
    place: Place, again: Callable[..., tuple[list[str], str]], key: str, value: float, first: str, reason: str
) -> None:
    place.set(key, value)
    frames = place.layer.archive.read_bytes()[:4096]
    ran, said = again()
    assert ran == ORDER[ORDER.index(first) :]
    assert said.startswith(f"Again: {first} ({reason})")
    assert place.layer.archive.read_bytes()[:4096] == frames
    with Archive(place.layer.archive) as archive:
        assert archive.parameters[key] == value, "the archive has the parameters of now"
    assert again() == ([], "")


def test_what_the_conversion_reads_makes_another_archive(place: Place, again: Callable[..., object]) -> None:
    place.set("SkipFrame", 1)
    ran, said = again()
    assert ran == [name for name in ORDER if name != "hkls"], "the reflections do not come from the frames"
    assert said.startswith("Again: ZipOut (parameter SkipFrame is 1, was 0")


@pytest.mark.parametrize("what", ["gone", "changed", "unfinished"])
def test_outputs_that_are_not_as_they_were(
    place: Place, again: Callable[..., tuple[list[str], str]], same: Callable[[], bool], what: str
) -> None:
    radius = place.layer.radius(FRAMES)
    if what == "gone":
        radius.unlink()
    elif what == "changed":
        radius.write_text(radius.read_text().replace("1", "2", 1))
    else:
        place.forget("calc_radius", state=STARTED)
    ran, said = again()
    reason = {"gone": f"{radius.name} is missing", "changed": f"{radius.name} has changed"}.get(what, "did not finish")
    assert said.startswith(f"Again: calc_radius ({reason})")
    assert ran == ORDER[ORDER.index("calc_radius") :]
    assert same()


def test_frames_that_were_searched_are_kept(
    place: Place, again: Callable[..., tuple[list[str], str]], same: Callable[[], bool]
) -> None:
    for frame in (3, 4, 90):
        place.layer.peaks(frame).unlink()
    place.layer.peak_pixels(120).write_bytes(b"cut off")
    place.forget("peaksearch", state=STARTED)
    ran, _ = again()
    assert ran == ORDER[ORDER.index("peaksearch") :]
    said = (place.layer.logs / "peaksearch_out0.csv").read_text()
    assert f"{FRAMES - 4} of {FRAMES} frames are searched already" in said
    assert same()


def test_frames_of_another_run_are_not(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    place.forget("peaksearch", state=STARTED)
    place.set("Width", 1400)
    again()
    assert "searched already" not in (place.layer.logs / "peaksearch_out0.csv").read_text()


def _without_last_line(path: Path) -> None:
    path.write_text("\n".join([*path.read_text().splitlines()[:-1], ""]))


def _swapped(path: Path) -> None:
    other = path.with_name(path.name.replace("_000050_", "_000090_"))
    path.rename(path.with_suffix(".x"))
    other.rename(path)
    path.with_suffix(".x").rename(other)


def _cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _last_byte_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "change", "step"),
    [
        ("Temp/*_000162_PS.csv", _without_last_line, "peaksearch"),
        ("Temp/*_000050_PS.csv", _swapped, "peaksearch"),
        ("Output/IndexBest.bin", _last_byte_changed, "indexing"),
        ("Results/OrientPosFit.bin", _last_byte_changed, "refining"),
        ("*_consolidated.h5", _cut_off, "consolidation"),
    ],
)
def test_parts_that_somebody_has_changed_are_not_kept(
    place: Place,
    again: Callable[..., tuple[list[str], str]],
    same: Callable[[], bool],
    name: str,
    change: Callable[[Path], None],
    step: str,
) -> None:
    (path,) = place.layer.folder.glob(name)
    change(path)
    ran, said = again()
    assert said.startswith(f"Again: {step} (")
    assert ran == ORDER[ORDER.index(step) :]
    assert same()


def test_a_ledger_that_cannot_be_changed_vouches_for_nothing(
    place: Place, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Ledger, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with Archive(place.layer.archive) as archive:
        parameters = archive.parameters
    monkeypatch.setattr(Ledger, "write", full)
    merge.run(place.layer, parameters.changed(OverlapLength=3.0), threads=1)
    assert "the ledger is not kept" in caplog.text
    assert not place.layer.ledger.exists(), "its entries are those of other files"


def test_results_that_are_not_asked_for_stay(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    again(report=True)
    results = [place.layer.grains, place.layer.spot_matrix, place.layer.consolidated, place.layer.report]
    times = [path.stat().st_mtime_ns for path in results]
    assert again(peak_search_only=True) == ([], "")
    assert again(report=False) == ([], "")
    assert [path.stat().st_mtime_ns for path in results] == times
    place.set("Width", 1400)
    again(peak_search_only=True)
    assert not any(path.exists() for path in results), "they are not those of these peaks"


def test_the_geometry_stays_in_the_file(
    place: Place, again: Callable[..., tuple[list[str], str]], in_process: Call
) -> None:
    def has_geometry() -> bool:
        with h5py.File(place.layer.consolidated) as file:
            return "geometry" in file

    refined = place.folder / "refined.txt"
    named = ("-paramFN", place.parameters, "-o", refined)
    assert in_process("ff-geometry", place.layer.folder, *named, cwd=place.folder) == 0
    assert has_geometry()
    assert again()[0] == ["grain_sigma", "consolidation"]
    assert has_geometry()
    place.set("MinNrSpots", 2)
    again()
    assert not has_geometry(), "it is that of other grains"


def test_a_run_afresh_forgets_what_it_does_not_do(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    again(measure_spots=1)
    assert {"measure_spots", "indexing_pass2"} <= set(read_ledger(place.layer.ledger).entries)
    place.set("IndexPasses", 1)
    again(resume=0)
    assert {"ZipOut", "passes", *ORDER} == set(read_ledger(place.layer.ledger).entries)


def test_a_new_archive_gets_all_that_the_old_one_had(
    place: Place, again: Callable[..., tuple[list[str], str]], same: Callable[[], bool]
) -> None:
    def members() -> set[str]:
        with Archive(place.layer.archive) as archive:
            return set(archive.checksums())

    before = members()
    place.layer.archive.unlink()
    ran, said = again()
    assert ran == ["ZipOut", "consolidation"]
    assert "consolidation (the archive is a new one)" in said
    assert members() == before
    assert same()


def test_measured_spots_are_kept(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    again(measure_spots=1)
    assert again(measure_spots=1) == ([], "")


@pytest.mark.parametrize("count", [(), (0, 1, 24)])
def test_a_stage_by_hand_stands(
    place: Place, again: Callable[..., tuple[list[str], str]], in_process: Call, count: tuple[int, ...]
) -> None:
    """Named from elsewhere, and in the legacy form with the number of seeds."""
    paramstest = place.layer.paramstest.relative_to(place.folder)
    threads = (1,) if count else ()
    before = read_ledger(place.layer.ledger).entries["indexing"].number
    assert in_process("IndexerOMP" if count else "ff-index", paramstest, *count, *threads, cwd=place.folder) == 0
    assert read_ledger(place.layer.ledger).entries["indexing"].number > before
    ran, _ = again()
    assert "indexing" not in ran


def test_passes_that_did_not_finish(
    place: Place, again: Callable[..., tuple[list[str], str]], same: Callable[[], bool]
) -> None:
    place.forget("passes")
    ran, said = again()
    assert said.startswith("Again: process_grains (its passes are not complete)")
    assert ran == ORDER[ORDER.index("process_grains") :]
    assert same()


def test_a_command_by_hand_counts(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    with Archive(place.layer.archive) as archive:
        parameters = archive.parameters
    merge.run(place.layer, parameters.changed(OverlapLength=3.0), threads=1)
    ran, said = again()
    assert said.startswith("Again: merge_overlaps (parameter OverlapLength is 2.0 (default), was 3.0)")
    assert ran == ORDER[ORDER.index("merge_overlaps") :]


def test_restart(place: Place, again: Callable[..., tuple[list[str], str]], same: Callable[[], bool]) -> None:
    ran, said = again(resume=0, restart_from="binning")
    assert said.startswith("Again: binning (as -restartFrom says)")
    assert ran == ORDER[ORDER.index("binning") :]
    assert same()
    place.layer.merge_map.unlink()
    with pytest.raises(StageError, match=r"cannot go on there, merge_overlaps must run again first \(MergeMap.csv is"):
        place.run(restart_from="binning")


def test_names_of_steps() -> None:
    assert [steps_named(word) for word in ("ZipOut", "peaks", "Refinement", "fit-setup")] == [
        "ZipOut", "peaksearch", "refining", "fit_setup",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="did you mean indexing.*the steps are ZipOut"):
        steps_named("indexin")


def test_without_the_option_everything_runs(place: Place, again: Callable[..., tuple[list[str], str]]) -> None:
    assert again(resume=0) == (ORDER, "")


def test_status(place: Place, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    place.layer.merge_map.unlink()
    place.forget("indexing", state=STARTED)
    assert in_process("ff-midas", "status", place.folder, cwd=place.folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(place.layer.folder)
    rows = {line.split()[0]: line for line in lines[1:]}
    assert rows["hkls"].endswith("kept")
    assert rows["merge_overlaps"].endswith("again: MergeMap.csv is missing")
    assert rows["calc_radius"].endswith("again: comes after merge_overlaps")
    assert "started" in rows["indexing"]


def test_status_of_the_conversion(place: Place, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    def row() -> str:
        assert in_process("ff-midas", "status", place.layer.folder, cwd=place.folder) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        return next(line for line in out.splitlines() if line.split()[0] == "ZipOut")

    assert row().endswith("kept")
    place.forget("ZipOut", state=STARTED)
    content = json.loads(place.layer.ledger.read_text())
    for entry in content["steps"]:
        entry["host"] = "a\x1b[31mhost"
    place.layer.ledger.write_text(json.dumps(content))
    assert r"again: started by pid" in row()
    place.forget("ZipOut", state=COMPLETE)
    place.layer.archive.unlink()
    assert row().endswith("scan_000001.MIDAS.zip is missing")


def test_status_of_nothing(tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("ff-midas", "status", tmp_path, cwd=tmp_path) == 1
    assert "holds no layer with a ledger" in capsys.readouterr().err
