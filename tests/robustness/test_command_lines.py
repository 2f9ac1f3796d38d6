"""Numbers and options on the command line that cannot be (docs/theory/conventions.md#rules-for-every-program)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import ARCHIVE, BY_NAME, PARAMETERS, call, prepare

WRONG = ["x", "", "1.5", "1e3", "-1", "99999999999999999999", "2147483648", "nan", "0x10", "١²"]
BLOCKS = {
    "PeaksFittingOMPZarrRefactor": [ARCHIVE, "0", "1", "2"],
    "IndexerOMP": ["paramstest.txt", "0", "1", "3", "2"],
    "FitPosOrStrainsOMP": ["paramstest.txt", "0", "1", "3", "2"],
    "ForwardSimulationCompressed": [PARAMETERS, "2"],
}
PLACES = [(name, place) for name, line in BLOCKS.items() for place in range(1, len(line))]


@pytest.mark.parametrize("word", WRONG)
@pytest.mark.parametrize(("name", "place"), PLACES)
def test_wrong_number(name: str, place: int, word: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(BY_NAME[name], pristine, tmp_path / "layer", stale=True)
    line = [*BLOCKS[name][:place], word, *BLOCKS[name][place + 1 :]]
    outcome = call(BY_NAME[name], folder, *line)
    outcome.must_fail(BY_NAME[name])
    assert outcome.code == 2, outcome.stderr
    assert not outcome.removed


@pytest.mark.parametrize(("name", "place"), [p for p in PLACES if p != ("IndexerOMP", 3)])
def test_zero(name: str, place: int, pristine: Path, tmp_path: Path) -> None:
    """Zero is a block number and a number of seeds, but no number of blocks or threads."""
    folder = prepare(BY_NAME[name], pristine, tmp_path / "layer")
    outcome = call(BY_NAME[name], folder, *BLOCKS[name][:place], "0", *BLOCKS[name][place + 1 :])
    outcome.must_be_clean(BY_NAME[name])
    assert (outcome.code == 0) == (BLOCKS[name][place] == "0" or (name == "FitPosOrStrainsOMP" and place == 3))


@pytest.mark.parametrize("name", list(BLOCKS))
def test_more_threads_than_a_machine_can_have(name: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(BY_NAME[name], pristine, tmp_path / "layer")
    outcome = call(BY_NAME[name], folder, *BLOCKS[name][:-1], "1000000")
    outcome.must_fail(BY_NAME[name], "nCPUs")
    assert outcome.code == 2


@pytest.mark.parametrize("name", ["IndexerOMP", "FitPosOrStrainsOMP"])
def test_more_seeds_or_blocks_than_there_are(name: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(BY_NAME[name], pristine, tmp_path / "layer")
    outcome = call(BY_NAME[name], folder, "paramstest.txt", "7", "1000", "25", "2")
    outcome.must_be_clean(BY_NAME[name])
    assert outcome.code == 0


DRIVER_OPTIONS = {
    "-nCPUs": ["0", "-1", "x", "1000000"],
    "-startLayerNr": ["0", "-3", "x", "5"],
    "-endLayerNr": ["0", "x"],
    "-machineName": ["nowhere", "purdue"],
    "-dataFN": ["missing.zip", ".", "hkls.csv"],
    "-paramFN": ["missing.txt", ".", ARCHIVE],
    "-grainsFile": ["missing.csv", ".", ARCHIVE],
    "-noSuchOption": ["1"],
    "-convertFiles": ["x"],
}


@pytest.mark.parametrize(("option", "word"), [(o, w) for o, words in DRIVER_OPTIONS.items() for w in words])
def test_driver_options(option: str, word: str, pristine: Path, tmp_path: Path) -> None:
    program = BY_NAME["ff_MIDAS.py"]
    folder = prepare(program, pristine, tmp_path / "layer")
    outcome = call(program, folder, *program.arguments, option, word)
    outcome.must_be_clean(program)
    outcome.must_fail(program)


CONVERT_OPTIONS = {
    "-numFrameChunks": ["0", "-2", "x", "99999999999"],
    "-preProcThresh": ["x"],
    "-numFilesPerScan": ["0", "-1", "x", "3"],
    "-LayerNr": ["0", "-1", "x"],
    "-dataLoc": ["nowhere", "exchange/nothing", "exchange/data/x"],
    "-dataFN": ["missing.h5", ".", PARAMETERS],
    "-darkFN": ["missing.h5", ".", PARAMETERS],
    "-resultFolder": ["", "raw.h5", PARAMETERS + "/x"],
    "-paramFN": ["", ".", "raw.h5"],
}


@pytest.mark.parametrize(("option", "word"), [(o, w) for o, words in CONVERT_OPTIONS.items() for w in words])
def test_convert_options(option: str, word: str, pristine: Path, tmp_path: Path) -> None:
    program = BY_NAME["ffGenerateZipRefactor.py"]
    folder = prepare(program, pristine, tmp_path / "layer")
    call(program, folder, *program.arguments, option, word).must_fail(program)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--omega-step", "x"),
        ("--omega-step", "nan"),
        ("--omega-step", "inf"),
        ("--space-group", "0"),
        ("--space-group", "231"),
        ("--lattice", "1", "2", "3"),
        ("--lattice", "0", "0", "0", "90", "90", "90"),
        ("--lattice", "nan", "1", "1", "90", "90", "90"),
        ("--lattice", "1", "1", "1", "90", "90", "180"),
    ],
)
def test_compare_options(arguments: tuple[str, ...], pristine: Path, tmp_path: Path) -> None:
    program = BY_NAME["ff-compare"]
    folder = prepare(program, pristine, tmp_path / "layer")
    call(program, folder, *program.arguments, *arguments).must_fail(program)
