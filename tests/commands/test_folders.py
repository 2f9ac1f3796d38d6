"""A layer that was copied or moved: the commands work where its files are, not where they were made."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import Call, Finished, digests

from midas.archive import set_dataset
from midas.parameters import ANALYSIS

ROOT = Path(__file__).resolve().parents[2]
INDEXED = ("Output/IndexBest.bin", "Output/IndexBestFull.bin")


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """A copy of a finished layer, whose paramstest.txt names the folders of the original."""
    return Path(shutil.copytree(finished[0], tmp_path / "copy", symlinks=True))


@pytest.mark.parametrize("here", [True, False])
def test_a_copied_layer(
    here: bool, finished: Finished, copied: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    before = digests(finished[0])
    for name in (*INDEXED, "Output/FitBest.bin", "Results/Key.bin"):
        (copied / name).unlink()
    cwd, file = (copied, "paramstest.txt") if here else (tmp_path, "copy/paramstest.txt")
    for command in ("ff-index", "ff-refine"):
        assert in_process(command, file, "--threads", 1, cwd=cwd) == 0
        said = capsys.readouterr().out
        original = f"{finished[0]}/Output"
        assert f"warning: {file} names {original}, which is not in the folder of the file" in said
    assert digests(copied) == before == digests(finished[0])


@pytest.mark.parametrize("original", ["kept", "moved"])
def test_a_copied_archive(
    original: str,
    finished: Finished,
    copied: Path,
    tmp_path: Path,
    in_process: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The archive names the folder that it was made in: the copy is worked on all the same."""
    before, archive = digests(finished[0]), next(copied.glob("*.MIDAS.zip"))
    reason = "which has an archive"
    if original == "moved":
        set_dataset(archive, f"{ANALYSIS}ResultFolder", np.array([b"/no/such/folder/"]))
        reason = "which does not exist"
    made = [copied / "hkls.csv", *copied.glob("Result_*.csv"), *copied.glob("Radius_*.csv"), copied / "InputAll.csv"]
    for file in made[:1] + made[2:]:
        file.unlink()
    for command in ("ff-hkls", "ff-radius", "ff-setup"):
        assert in_process(command, archive, cwd=tmp_path) == 0
        assert reason in capsys.readouterr().out
    assert all(file.exists() for file in made)
    assert digests(finished[0]) == before


def test_an_archive_apart_from_its_results(
    finished: Finished, copied: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the folder that the archive names has no archive, the results are meant to be there; a line says so."""
    archive = shutil.move(next(copied.glob("*.MIDAS.zip")), tmp_path)
    set_dataset(archive, f"{ANALYSIS}ResultFolder", np.array([f"{copied}/".encode()]))
    (copied / "hkls.csv").unlink()
    assert in_process("ff-hkls", archive, cwd=tmp_path) == 0
    assert (copied / "hkls.csv").exists()
    assert f"The results go to {copied}/, the ResultFolder of" in capsys.readouterr().out


def test_an_archive_that_is_a_link_is_copied_before_it_is_changed(
    copied: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline writes its folder and its provenance into the archive of a layer, not into one elsewhere."""
    archive = next(copied.glob("*.MIDAS.zip"))
    elsewhere = tmp_path / "precious.MIDAS.zip"
    archive.rename(elsewhere)
    archive.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert in_process("ff-midas", "-resultFolder", copied, "-reprocess", 1, "-report", 0, cwd=tmp_path) == 0
    assert f"{archive} is a link to {elsewhere}, which stays as it is" in capsys.readouterr().err
    assert elsewhere.read_bytes() == before and not archive.is_symlink() and archive.stat().st_size >= len(before)


def test_another_layer_has_to_be_named(
    finished: Finished, copied: Path, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = digests(copied)
    for name in INDEXED:
        (copied / name).unlink()
    shutil.copy(copied / "paramstest.txt", tmp_path / "mine.txt")
    assert in_process("ff-index", "mine.txt", "--folder", "copy", "--threads", 1, cwd=tmp_path) == 0
    out = capsys.readouterr().out
    assert "The layer is copy" in out and "warning" not in out
    assert digests(copied) == expected


def test_a_parameter_file_by_itself_means_the_current_folder(copied: Path, tmp_path: Path, in_process: Call) -> None:
    expected = digests(copied)
    for name in INDEXED:
        (copied / name).unlink()
    shutil.copy(copied / "paramstest.txt", tmp_path / "mine.txt")
    assert in_process("ff-index", tmp_path / "mine.txt", "--threads", 1, cwd=copied) == 0
    assert digests(copied) == expected


def test_sources_without_kernels_say_what_to_do(tmp_path: Path) -> None:
    """A checkout that was not built: Python takes it for the package where it stands."""
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "midas", tmp_path / "midas", ignore=ignored)
    command = [sys.executable, "-m", "midas", "GetHKLList", "ps.txt"]
    (tmp_path / "ps.txt").write_text("px 200\n")
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"GetHKLList: {tmp_path}/midas holds the sources of midas without their compiled ")
    assert result.stderr.count("\n") == 1 and "sh install.sh" in result.stderr
