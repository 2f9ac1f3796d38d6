"""Every command, every file that it reads, every way to damage it (spec chapters 01 ... 08, §7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import HARMLESS, PROGRAMS, Program, call, damages, is_text, prepare


def cases(kinds) -> list:
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
    outcome.must_fail(program, Path(name).name)


@pytest.mark.parametrize(("program", "name", "kind"), cases(lambda name: HARMLESS if is_text(Path(name)) else ()))
def test_harmless_differences(program: Program, name: str, kind: str, pristine: Path, tmp_path: Path) -> None:
    expected = call(program, prepare(program, pristine, tmp_path / "sound"))
    folder = prepare(program, pristine, tmp_path / "layer")
    HARMLESS[kind](folder / name)
    outcome = call(program, folder)
    outcome.must_be_clean(program)
    assert outcome.code == 0, outcome.stderr
    for output in program.outputs:
        assert outcome.after[output] == expected.after[output], output
