"""Parts of a result that nobody has written are seen (docs/reliability.md#missing-parts)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from midas.formats.layer import Layer
from midas.pipeline import grain_search
from midas.pipeline.grain_search import GrainSearch
from midas.runtime.parallel import SERIAL

from .harness import BY_NAME, INDEXED, REFINED, Outcome, call, prepare

INDEX, REFINE, GRAINS = (BY_NAME[name] for name in ("IndexerOMP", "FitPosOrStrainsOMP", "ProcessGrainsZarr"))
MARKS = {INDEX.name: "Output/IndexBest.marks", REFINE.name: "Results/Key.marks"}


def block(folder: Path, program: str, number: int, parameters: str = "paramstest.txt") -> Outcome:
    """One of three blocks, of a seed each."""
    outcome = call(BY_NAME[program], folder, parameters, str(number), "3", "3", "1")
    assert outcome.code == 0, outcome.stderr
    return outcome


@pytest.fixture
def layer(pristine: Path, tmp_path: Path) -> Path:
    """Everything that the indexing needs and what comes behind it."""
    folder = prepare(INDEX, pristine, tmp_path / "layer")
    for program in (REFINE, GRAINS):
        prepare(program, pristine, folder)
    for name in (*INDEXED, *REFINED):
        (folder / name).unlink()
    return folder


def never(folder: Path, program: str) -> None:
    """The last block never ran."""
    block(folder, program, 0)
    block(folder, program, 1)


def half_way(folder: Path, program: str) -> None:
    """It was killed before it had written anything."""
    for number in range(3):
        block(folder, program, number)
    marks = folder / MARKS[program]
    marks.write_bytes(marks.read_bytes()[:16] + bytes(8))


def other_parameters(folder: Path, program: str) -> None:
    """Its slots are those of an earlier run with other parameters."""
    given = (folder / "paramstest.txt").read_text()
    (folder / "earlier.txt").write_text(given + "MarginOme 0.9\nMargABC 3\n")
    for number in range(3):
        block(folder, program, number, "earlier.txt")
    never(folder, program)


def other_spots(folder: Path, program: str) -> None:
    """Its slots are those of an earlier run with other spots."""
    names = ("Spots.bin", "ExtraInfo.bin")
    given = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        changed = bytearray(given[name])
        changed[-7] ^= 1
        (folder / name).write_bytes(changed)
    for number in range(3):
        block(folder, program, number)
    for name in names:
        (folder / name).write_bytes(given[name])
    never(folder, program)


CASES = (never, half_way, other_parameters, other_spots)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize(("program", "reader"), [(INDEX, REFINE), (REFINE, GRAINS)], ids=str)
def test_missing_rows_are_named(layer: Path, program, reader, case: Callable[[Path, str], None]) -> None:
    if program is REFINE:
        assert call(INDEX, layer).code == 0
    case(layer, program.name)
    outcome = call(reader, layer)
    assert outcome.code == 1
    assert len(outcome.stderr.splitlines()) == 1
    file, short = (INDEXED[0], "ff-index") if program is INDEX else (REFINED[-1], "ff-refine")
    assert f"{file}: by the last run of {short} row 2 (block 2 of 3?) of 3 was not written" in outcome.stderr
    assert "-allowPartial 1" in outcome.stderr
    allowed = call(reader, layer, *reader.arguments, "-allowPartial", "1")
    assert (allowed.code, allowed.stderr) == (0, "")
    assert "row 2 (block 2 of 3?) of 3 was not written" in allowed.stdout
    block(layer, program.name, 2)
    whole = call(reader, layer)
    assert (whole.code, whole.stderr, "not written" in whole.stdout) == (0, "", False)


def test_rows_that_are_let_go_count_as_not_found(layer: Path) -> None:
    """As if the seed had never been there, to the byte."""
    never(layer, INDEX.name)
    outcome = call(REFINE, layer, *REFINE.arguments, "-allowPartial", "1")
    partly = {name: outcome.after[name] for name in REFINED}
    block(layer, INDEX.name, 2)
    best = layer / INDEXED[0]
    best.write_bytes(best.read_bytes()[:240] + bytes(120))
    assert call(REFINE, layer).code == 0
    assert {name: call(REFINE, layer).after[name] for name in REFINED} == partly


def test_files_of_legacy_programs_have_no_marks(layer: Path) -> None:
    assert call(INDEX, layer).code == 0
    (layer / MARKS[INDEX.name]).unlink()
    assert call(REFINE, layer).code == 0
    (layer / MARKS[REFINE.name]).unlink()
    assert call(GRAINS, layer).code == 0


def test_the_same_blocks_again_miss_nothing(layer: Path) -> None:
    for program in (INDEX.name, REFINE.name):
        for number in (2, 0, 1, 2, 1, 0):
            block(layer, program, number)
    assert call(GRAINS, layer).code == 0
    shutil.rmtree(layer / "midas_log", ignore_errors=True)


def test_the_driver_hands_it_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Run:
        comm, threads, layer = SERIAL, 1, Layer(tmp_path)

        class options:
            keeps_parts = False
            allow_partial, grains_file = True, None

        class steps:
            counts: dict[str, dict[str, int]] = {}

            @staticmethod
            def shared(name: str, work: Callable[[], object]) -> object:
                return work()

        class tables:
            extra_info = ids_hash = None

        @staticmethod
        def grain_parameters() -> None:
            return None

    said: list[bool] = []

    def keep(*_: object, allow_partial: bool = False, **__: object) -> None:
        said.append(allow_partial)

    Run.steps.serial = Run.steps.shared  # type: ignore[attr-defined]
    monkeypatch.setattr("midas.stages.indexing.run", lambda *_, **__: None)
    monkeypatch.setattr("midas.stages.refinement.run", keep)
    monkeypatch.setattr("midas.stages.grains.run", keep)
    search = GrainSearch(Run, None, None, None, None)  # type: ignore[arg-type]
    search._solve(None)
    search._resolve("process_grains")
    assert said == [True, True]
    assert grain_search.ENOUGH
