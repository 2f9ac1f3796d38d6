"""Every command, every file that it reads, every way to damage it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from .damage import HARMLESS, damages, is_text
from .harness import ARCHIVE, BY_NAME, EXTRA, PEAKS, PROGRAMS, RESULT, Program, Sound, call, prepare

#: the programs that make grains
_GRAINS = ("ProcessGrainsZarr", "ProcessGrains", "ff-resolve")

#: damages that must be survived: what the command says on stdout, "" for nothing special
SURVIVED = {
    # Nobody can tell a frame or a scan without peaks from a table that lost them.
    ("MergeOverlappingPeaksAllZarr", PEAKS, "header only"): "",
    ("MergeOverlappingPeaksAllZarr", PEAKS, "nan"): "warning: 1 peaks left out",
    ("MergeOverlappingPeaksAllZarr", PEAKS, "infinite"): "warning: 1 peaks left out",
    ("MergeOverlappingPeaksAllZarr", PEAKS, "huge"): "",
    ("CalcRadiusAllZarr", RESULT, "header only"): "",
    # A line without an integer is an empty slot.
    ("IndexerOMP", "SpotsToIndex.csv", "empty"): "warning: nSpotsToIndex is 3, but there are 0 seeds",
    ("IndexerOMP", "SpotsToIndex.csv", "header only"): "warning: nSpotsToIndex is 3, but there are 0 seeds",
    ("IndexerOMP", "SpotsToIndex.csv", "truncated"): "warning: nSpotsToIndex is 3, but there are 2 seeds",
    **dict.fromkeys(
        [("IndexerOMP", "SpotsToIndex.csv", kind) for kind in ("word", "nan", "infinite", "huge")],
        "warning: SpotsToIndex.csv: 1 lines hold no spot id (first: line 2)",
    ),
    ("ff-match", "StitchedGrains.csv", "header only"): "",
    # What does not belong to the spots is left out with a warning.
    ("FitPosOrStrainsOMP", "SpotsToIndex.csv", "truncated"): "warning: nSpotsToIndex is 3, but there are 2 seeds",
    ("FitPosOrStrainsOMP", "Output/IndexBestFull.bin", "nan records"): "warning: Spot ids of the indexer that are not",
    ("FitPosOrStrainsOMP", "Output/IndexBestFull.bin", "negative records"): "warning: Spot ids of the indexer that are",
    # Other lines are skipped.
    **dict.fromkeys(
        [
            ("ForwardSimulationCompressed with panels", "intensities.csv", kind)
            for kind in ("truncated", "word", "nan", "infinite", "huge")
        ],
        "intensities.csv: 1 lines without 6 finite numbers are left out",
    ),
    # The list of reflections has the spacings, too.
    **dict.fromkeys([(name, "IDsHash.csv", "missing") for name in _GRAINS], ""),
    # All that counts stands in paramstest.txt, but for keys of which it has the defaults.
    ("ff-resolve", ARCHIVE, "missing"): "",
    **dict.fromkeys(
        [(name, "Results/OrientPosFit.bin", kind) for name in _GRAINS for kind in ("nan records", "negative records")],
        "solutions have numbers that are not finite",
    ),
}

#: what an error names instead of the damaged file: its neighbour that does not fit, the sentence of the manual, or what
#: the diagnosis says
NAMED = {
    "Key.bin": ("nothing was indexed",),
    "SpotsToIndex.csv": ("Key.bin", "no seeds"),
    "IDsHash.csv": ("hkls.csv",),
    "paramstest.txt": ("hkls.csv",),
}

#: differences that must be errors, since rows would lose their numbers
REFUSED = {
    ("FitPosOrStrainsOMP", "SpotsToIndex.csv", "blank lines"),
    ("SaveBinData", "InputAll.csv", "blank lines"),
    ("SaveBinData", EXTRA, "blank lines"),
    ("ProcessGrainsZarr", "SpotsToIndex.csv", "blank lines"),
    ("ProcessGrains", "SpotsToIndex.csv", "blank lines"),
    ("ff-resolve", "SpotsToIndex.csv", "blank lines"),
}


def cases(kinds: Callable[[str], Iterable[str]]) -> list:
    return [
        pytest.param(program, name, kind, id=f"{program}-{Path(name).name}-{kind}")
        for program in PROGRAMS
        for name in program.inputs
        for kind in kinds(name)
    ]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_sound_inputs_are_accepted(program: Program, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(program, pristine, tmp_path / "layer")
    outcome = call(program, folder)
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr
    for name in program.outputs:
        assert (folder / name).stat().st_size, name


@pytest.mark.parametrize(("program", "name", "kind"), cases(damages))
def test_damaged_input(program: Program, name: str, kind: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(program, pristine, tmp_path / "layer", stale=True)
    damages(name)[kind](folder / name)
    outcome = call(program, folder)
    said = SURVIVED.get((str(program), name, kind))
    if said is None:
        outcome.must_fail(program, Path(name).name, *NAMED.get(Path(name).name, ()))
        if name not in (ARCHIVE, "paramstest.txt", *program.arguments):
            assert not outcome.after.keys() & set(program.removed), "the result of an earlier run was left"
        return
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr
    assert said in outcome.stdout


@pytest.mark.parametrize(("program", "name", "kind"), cases(lambda name: HARMLESS if is_text(Path(name)) else ()))
def test_harmless_differences(
    program: Program, name: str, kind: str, pristine: Path, tmp_path: Path, sound: Sound
) -> None:
    folder = prepare(program, pristine, tmp_path / "layer")
    HARMLESS[kind](folder / name)
    outcome = call(program, folder)
    if (str(program), name, kind) in REFUSED:
        outcome.must_fail(program, Path(name).name)
        return
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr
    if (program.name, name, kind) == ("IndexerOMP", "SpotsToIndex.csv", "blank lines"):
        return  # the blank lines are seeds of their own
    expected = sound(program)
    for output in program.outputs:
        assert outcome.after[output] == expected.after[output], output


def test_the_tables_name_what_exists() -> None:
    """An exception that fits no case any more hides nothing, but misleads."""
    for program, name, kind in SURVIVED:
        assert kind in damages(name)
        assert any(name in p.inputs for p in PROGRAMS if str(p) == program)
    for program, name, kind in REFUSED:
        assert kind in HARMLESS
        assert name in BY_NAME[program].inputs
