"""The same bytes for any number of threads, legacy blocks and MPI ranks; and how a run of several processes ends."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import FRAMES, GRAINS, Call, Finished, TinyScan, digests, prepare

import midas
from midas.archive import set_dataset
from midas.parameters import ANALYSIS

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ARCHIVE = "sim.analysis.MIDAS.zip"
PEAKS = ("Temp",)
INDEXED = ("Output/IndexBest.bin", "Output/IndexBestFull.bin")
REFINED = ("Results", "Output/FitBest.bin")


@pytest.fixture
def layer(finished: Finished) -> Path:
    return finished[0]


@pytest.fixture
def emptied(layer: Path, tmp_path: Path) -> Callable[..., Path]:
    """``emptied("Temp")``: a copy of the finished layer without these results, for commands to write again."""

    def copy(*results: str) -> Path:
        target = tmp_path / "LayerNr_1"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(layer, target, symlinks=True)
        set_dataset(target / ARCHIVE, f"{ANALYSIS}ResultFolder", np.array([f"{target}/".encode()]))
        text = (target / "paramstest.txt").read_text()
        (target / "paramstest.txt").write_text(text.replace(str(layer), str(target)))
        for name in results:
            path = target / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        return target

    return copy


def same(one: Path, other: Path) -> None:
    """The two layers hold the same bytes, wherever they are."""
    found, expected = digests(one), digests(other)
    found.pop("paramstest.txt"), expected.pop("paramstest.txt")
    assert found == expected


# ---------------------------------------------------------------- threads


@pytest.mark.parametrize("threads", [2, 4])
def test_threads(threads: int, layer: Path, scan: TinyScan, tmp_path: Path) -> None:
    midas.run(scan.parameters, scan.archive, result_folder=tmp_path, convert=False, threads=threads)
    same(tmp_path / "LayerNr_1", layer)


def test_a_serial_run_has_no_mpi(scan: TinyScan, tmp_path: Path, environment: dict[str, str]) -> None:
    code = (
        "import sys; from midas.commands.run import run; "
        f"code = run('ff-midas', ['-dataFN', {str(scan.archive)!r}, '-convertFiles', '0', '-nCPUs', '1']); "
        "print(code, 'mpi4py' in sys.modules)"
    )
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert result.stdout.splitlines()[-1] == "0 False", result.stderr


# ---------------------------------------------------------------- legacy blocks


def test_blocks_in_any_order(
    layer: Path, emptied: Callable[..., Path], in_process: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    target = emptied(*PEAKS, *INDEXED, *REFINED)
    seeds = len((target / "SpotsToIndex.csv").read_text().splitlines())
    for block in (2, 0, 3, 1):
        code = in_process("PeaksFittingOMPZarrRefactor", ARCHIVE, block, 4, 1, cwd=target)
        assert (code, capfd.readouterr().err) == (0, "")
    for command in ("IndexerOMP", "FitPosOrStrainsOMP"):
        for block in (1, 3, 0, 2):
            code = in_process(command, "paramstest.txt", block, 4, seeds, 1, cwd=target)
            assert (code, capfd.readouterr().err) == (0, "")
    same(target, layer)


# ---------------------------------------------------------------- ranks


def fine(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def one_message(result: subprocess.CompletedProcess[str], name: str) -> str:
    """The line of the command that failed; the launcher has a few of its own."""
    lines = re.findall(rf"(?m)\b{name}: .*$", result.stderr)
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr
    return lines[0]


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks(ranks: int, layer: Path, emptied: Callable[..., Path], run_command: Run) -> None:
    target = emptied(*PEAKS, *INDEXED, *REFINED)
    folder = ["--folder", target] if ranks == 3 else []  # else the archive says where
    peaks = run_command("ff-peaks", ARCHIVE, "--threads", 1, *folder, cwd=target, ranks=ranks)
    fine(peaks)
    index = run_command("ff-index", "paramstest.txt", "--threads", 1, cwd=target, ranks=ranks)
    fine(index)
    refine = run_command("ff-refine", "paramstest.txt", "--threads", 1, cwd=target, ranks=ranks)
    fine(refine)
    same(target, layer)
    seeds = len((target / "SpotsToIndex.csv").read_text().splitlines())
    # One closing table, of the whole run.
    for result, label, count in ((peaks, "frames", FRAMES), (index, "seeds", seeds), (refine, "seeds", seeds)):
        assert re.findall(rf"(?m)^{label} +(.*)$", result.stdout) == [str(count)]


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_driver_on_ranks(ranks: int, layer: Path, scan: TinyScan, tmp_path: Path, run_command: Run) -> None:
    arguments = ["-paramFN", scan.parameters, "-dataFN", scan.archive, "-convertFiles", 0, "-nCPUs", 1, "-runinfo", 1]
    result = run_command("ff-midas", *arguments, "-perSpotGroups", 0, cwd=tmp_path, ranks=ranks)
    assert result.returncode == 0, result.stderr
    same(tmp_path / "LayerNr_1", layer)
    assert result.stdout.count("First line of Grains.csv: ") == 1
    assert result.stdout.count(f"{GRAINS} grains from ") == 1
    for text in ("ignored: -runinfo 1", "INFO - hkls: ", "INFO - indexing: ", "All layers processed successfully"):
        assert result.stderr.count(text) == 1, result.stderr
    logs = {path.name for path in (tmp_path / "LayerNr_1" / "midas_log").iterdir()}
    assert {f"{name}_out{rank}.csv" for name in ("peaksearch", "indexing", "refining") for rank in range(ranks)} <= logs


@pytest.mark.mpi
def test_more_ranks_than_work(emptied: Callable[..., Path], run_command: Run) -> None:
    digest = []
    for ranks in (0, 3):
        target = emptied(*INDEXED, *REFINED)
        seeds = (target / "SpotsToIndex.csv").read_text().splitlines()
        (target / "SpotsToIndex.csv").write_text("\n".join([*seeds[:2], ""]))
        for command in ("ff-index", "ff-refine"):
            fine(run_command(command, "paramstest.txt", "--threads", 1, cwd=target, ranks=ranks))
        digest.append(digests(target))
    assert digest[0] == digest[1]


@pytest.mark.mpi
def test_more_ranks_than_frames(emptied: Callable[..., Path], run_command: Run) -> None:
    digest = []
    for ranks in (0, 3):
        target = emptied(*PEAKS)
        set_dataset(target / ARCHIVE, f"{ANALYSIS}SkipFrame", np.array([FRAMES - 2], np.int32))
        fine(run_command("ff-peaks", ARCHIVE, "--threads", 1, cwd=target, ranks=ranks))
        assert len(list((target / "Temp").iterdir())) == 4
        digest.append(digests(target))
    assert digest[0] == digest[1]


@pytest.mark.mpi
def test_commands_without_shares_run_once(layer: Path, emptied: Callable[..., Path], run_command: Run) -> None:
    target = emptied("MergeMap.csv", f"Result_StartNr_1_EndNr_{FRAMES}.csv")
    result = run_command("ff-merge", ARCHIVE, target, "surplus", cwd=target, ranks=3)
    fine(result)
    assert result.stdout.count("Total spots: ") == 1
    assert result.stdout.count("warning: ignored: surplus") == 1
    same(target, layer)


@pytest.mark.mpi
def test_reprocessing_runs_once(layer: Path, emptied: Callable[..., Path], run_command: Run) -> None:
    target = emptied("MergeMap.csv")
    result = run_command("ff-midas", "-reprocess", 1, "-resultFolder", target, cwd=target, ranks=2)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Reprocessing ") == 1
    same(target, layer)


@pytest.mark.mpi
def test_warnings_of_all_ranks_come_once(emptied: Callable[..., Path], run_command: Run) -> None:
    """Seed ids that do not exist: one in the part of each rank, and what all of them notice."""
    target = emptied(*INDEXED)
    seeds = (target / "SpotsToIndex.csv").read_text().splitlines()
    seeds[0], seeds[-1] = "900001", "900002"
    (target / "SpotsToIndex.csv").write_text("\n".join([*seeds, ""]))
    result = run_command("ff-index", "paramstest.txt", "--threads", 1, cwd=target, ranks=2)
    fine(result)
    for seed in (900001, 900002):
        assert result.stdout.count(f"warning: start spot {seed} is not in Spots.bin") == 1


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "arguments", "reason", "code"),
    [
        ("ff-index", [], "required", 2),
        ("ff-peaks", ["none.MIDAS.zip"], "none.MIDAS.zip", 3),
        ("ff-refine", ["none.txt"], "none.txt", 1),
        ("ff-merge", ["none.MIDAS.zip"], "none.MIDAS.zip", 1),
        ("ff-midas", ["-paramFN", "none.txt"], "none.txt", 1),
    ],
)
def test_an_error_of_all_ranks_is_one_line(
    name: str, arguments: list[str], reason: str, code: int, tmp_path: Path, run_command: Run
) -> None:
    result = run_command(name, *arguments, cwd=tmp_path, ranks=3)
    assert result.returncode == code
    assert reason in one_message(result, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.mpi
def test_an_error_of_one_rank_ends_the_run(scan: TinyScan, tmp_path: Path, run_command: Run) -> None:
    """The last rank cannot write one of its frames; the others, which wait for it, end too."""
    blocked = tmp_path / "LayerNr_1" / "Temp" / f"{ARCHIVE}_{FRAMES:06d}_PS.csv"
    blocked.mkdir(parents=True)
    (tmp_path / "LayerNr_1" / "Grains.csv").write_text("of an earlier run")
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0, "-nCPUs", 1]
    result = run_command("ff-midas", *arguments, cwd=tmp_path, ranks=3, timeout=60)
    assert result.returncode == 1
    assert blocked.name in one_message(result, "ff-midas")
    assert "First line" not in result.stdout
    assert not (tmp_path / "LayerNr_1" / "Grains.csv").exists()
    errors = (tmp_path / "LayerNr_1" / "midas_log" / "peaksearch_err2.csv").read_text()
    assert blocked.name in errors


@pytest.mark.mpi
def test_a_layer_that_fails_on_one_rank_leaves_the_others_to_all_ranks(
    scan: TinyScan, layer: Path, tmp_path: Path, run_command: Run
) -> None:
    """The last rank fails in layer 1 while the first waits for it, the first one in layer 3; layer 2 is complete."""
    parameters = prepare(tmp_path, scan)
    blocked = tmp_path / "LayerNr_1" / "Temp" / f"scan_000001.MIDAS.zip_{FRAMES:06d}_PS.csv"
    blocked.mkdir(parents=True)
    arguments = ["-paramFN", parameters, "-endLayerNr", 3, "-nCPUs", 1]
    result = run_command("ff-midas", *arguments, cwd=tmp_path, ranks=2, timeout=100)
    assert result.returncode == 1
    rows = [line.split(None, 2) for line in result.stdout.splitlines() if line.startswith("Layer ")]
    assert [row[1] for row in rows] == ["1", "2", "3"]
    assert blocked.name in rows[0][2] and f"{GRAINS} grains from " in rows[1][2] and "is missing" in rows[2][2]
    assert "2 of 3 layers failed: layer 1: Peak search failed: " in one_message(result, "ff-midas")
    found, expected = digests(tmp_path / "LayerNr_2"), digests(layer)
    for name in ("Grains.csv", "SpotMatrix.csv", "Output/IndexBest.bin"):
        assert found[name] == expected[name], name


@pytest.mark.mpi
def test_an_error_of_the_first_rank_ends_the_run(scan: TinyScan, tmp_path: Path, run_command: Run) -> None:
    parameters = tmp_path / "ps.txt"
    parameters.write_text(scan.parameters.read_text() + "MinOmeSpotIDsToIndex 89.99\nMaxOmeSpotIDsToIndex 89.991\n")
    result = run_command("ff-midas", "-paramFN", parameters, "-dataFN", scan.raw, cwd=tmp_path, ranks=2, timeout=60)
    assert result.returncode == 1
    assert "no seeds" in one_message(result, "ff-midas")


@pytest.mark.mpi
def test_processes_that_mpi_does_not_know(scan: TinyScan, tmp_path: Path, run_command: Run) -> None:
    """A launcher of another MPI: every process would take itself for the only one and write the same files."""
    pytest.importorskip("mpi4py")
    arguments = ["-dataFN", scan.archive, "-convertFiles", 0]
    result = run_command("ff-midas", *arguments, cwd=tmp_path, PMI_SIZE="2", PMI_RANK="0")
    assert result.returncode == 1
    assert "2 processes were started" in one_message(result, "ff-midas")
    assert not list(tmp_path.iterdir())


#: a defect of the program on the last rank, while the first waits for it
DEFECT = """
import sys
from midas.commands import run as cli
from midas.commands.names import program
from midas.runtime import parallel

def peaks(values):
    comm = parallel.communicator()
    if comm.rank:
        raise ZeroDivisionError("a defect")
    comm.barrier()

object.__setattr__(program("ff-peaks"), "run", peaks)
sys.exit(cli.run("ff-peaks", ["scan.MIDAS.zip"]))
"""


@pytest.mark.mpi
def test_a_defect_on_one_rank_is_shown_and_ends_the_run(
    tmp_path: Path, environment: dict[str, str], mpirun: list[str]
) -> None:
    command = [*mpirun, "-n", "2", sys.executable, "-P", "-c", DEFECT]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    assert result.stderr.count("ZeroDivisionError: a defect") == 1
