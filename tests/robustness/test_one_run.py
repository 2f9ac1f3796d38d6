"""One run a folder: every command that writes into one says who is there (docs/reliability.md#one-run-a-folder)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

import midas
from midas.archive import Archive
from midas.commands import run as cli
from midas.formats.layer import Layer
from midas.results import consolidated
from midas.runtime.locks import LOCK, folder_lock

from .harness import ARCHIVE, BY_NAME, PARAMETERS, call, prepare, snapshot

HOLDS = """
import sys, time
from midas.runtime.locks import folder_lock
with folder_lock(sys.argv[1], "ff-midas", work=sys.argv[2]):
    print("held", flush=True)
    time.sleep(100)
"""
#: commands of a stage, and what else writes into a layer
STAGES = (
    "GetHKLListZarr", "GetHKLList", "PeaksFittingOMPZarrRefactor", "MergeOverlappingPeaksAllZarr", "CalcRadiusAllZarr",
    "FitSetupZarr", "SaveBinData", "IndexerOMP", "FitPosOrStrainsOMP", "ProcessGrainsZarr", "ff-resolve", "ff-pull",
    "ProcessGrains",
)  # fmt: skip


@pytest.fixture
def in_use(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, int]]:
    """A folder that another process works in."""
    folder, work = tmp_path / "layer", getattr(request, "param", "")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder), work], stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield folder, process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", STAGES)
def test_a_command_of_a_stage(name: str, in_use: tuple[Path, int], pristine: Path) -> None:
    program, (folder, pid) = BY_NAME[name], in_use
    prepare(program, pristine, folder, stale=True)
    outcome = call(program, folder)
    outcome.must_fail(program)
    assert (outcome.code, outcome.changed, outcome.removed) == (1, {}, set())
    assert f"in use by ff-midas (pid {pid} of " in outcome.stderr


@pytest.mark.parametrize("words", [["ff-stress", "{}", "-material", "Ni"], ["ff-geometry", "{}"]], ids=lambda w: w[0])
def test_what_adds_to_a_layer(words: list[str], in_use: tuple[Path, int], pristine: Path, capsys) -> None:
    folder = in_use[0]
    for name in ("ProcessGrainsZarr", "ff-pull"):
        prepare(BY_NAME[name], pristine, folder)
    before = snapshot(folder)
    assert cli.run(words[0], [word.format(folder) for word in words[1:]]) == 1
    assert "in use by ff-midas" in capsys.readouterr().err
    assert snapshot(folder) == before


def test_the_driver(in_use: tuple[Path, int], pristine: Path, tmp_path: Path, capsys) -> None:
    folder, layer = tmp_path / "run", tmp_path / "run" / "LayerNr_1"
    folder.mkdir()
    layer.symlink_to(in_use[0])  # another way to the same folder
    for name in ("Grains.csv", "hkls.csv"):
        (layer / name).write_text("of the first run\n")
    before = snapshot(in_use[0])
    words = ["-paramFN", str(pristine / PARAMETERS), "-dataFN", str(pristine / ARCHIVE), "-convertFiles", "0"]
    assert cli.run("ff-midas", [*words, "-resultFolder", str(folder)]) == 1
    assert "in use by ff-midas" in capsys.readouterr().err
    assert snapshot(in_use[0]) == before


@pytest.mark.parametrize("in_use", ["blocks of the indexing"], indirect=True)
def test_blocks_of_one_stage_are_no_strangers(in_use: tuple[Path, int], pristine: Path) -> None:
    program, folder = BY_NAME["IndexerOMP"], in_use[0]
    prepare(program, pristine, folder)
    assert call(program, folder, "paramstest.txt", "1", "3", "3", "1").code == 0
    assert call(program, folder, "paramstest.txt", "0", "1", "3", "1").code == 1, "the whole run is no block"
    refine = prepare(BY_NAME["FitPosOrStrainsOMP"], pristine, folder)
    assert call(BY_NAME["FitPosOrStrainsOMP"], refine, "paramstest.txt", "1", "3", "3", "1").code == 1


def test_readers_need_no_lock_and_keep_what_they_have_open(pristine: Path, tmp_path: Path) -> None:
    """Tables and HDF5 are replaced as a whole, never cut off in place."""
    folder = tmp_path / "layer"
    shutil.copytree(pristine, folder)
    archive = folder / ARCHIVE
    with Archive(archive) as opened:
        layer = Layer(folder, archive, data_file=opened.parameters.for_stage("pipeline")["dataFN"])
    with folder_lock(folder, "ff-midas"), h5py.File(layer.consolidated, "r") as file:
        grains = midas.read_results(folder)
        before = layer.consolidated.stat().st_ino
        consolidated.write(layer)
        assert layer.consolidated.stat().st_ino != before
        names: list[str] = []
        file.visit(names.append)
        assert len(names) > 10
    with open(layer.grains, "rb") as reader:
        start, content = reader.read(10), layer.grains.read_bytes()
        assert call(BY_NAME["ProcessGrainsZarr"], folder).code == 0
        assert start + reader.read() == content
    assert len(midas.read_results(folder).grains) == len(grains.grains)


def test_nothing_is_left_of_the_lock(pristine: Path, tmp_path: Path) -> None:
    program = BY_NAME["IndexerOMP"]
    folder = prepare(program, pristine, tmp_path / "layer")
    assert call(program, folder).code == 0
    (folder / "paramstest.txt").write_text("Wavelength -1\n")
    assert call(program, folder).code == 1
    assert not (folder / LOCK).exists()
