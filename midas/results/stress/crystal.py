"""The crystal that the user means: stiffness and slip systems of the words of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.formats.material import read_material
from midas.results.stress.constants import TOLERANCE, symmetry_error
from midas.results.stress.frames import crystal_system
from midas.results.stress.materials import material
from midas.results.stress.options import StressOptions
from midas.results.stress.stiffness import Stiffness
from midas.runtime.errors import FormatError, MidasError, UsageError


def stiffness_of(options: StressOptions, space_group: int, cell: Sequence[float]) -> Stiffness:
    """The stiffness that the options name.

    Raises
    ------
    UsageError : none is named, or two are
    ParameterError : it cannot be that of this crystal
    FormatError : of a file, with its name
    """
    if bool(options.material) == bool(options.stiffness):
        which = "one of -material and -stiffness is needed" if not options.material else "-material or -stiffness"
        raise UsageError(f"{which}: a material of the table, a file, or elastic constants (see ff-stress --help)")
    if options.stiffness:
        return _written(options, space_group, cell)
    path = Path(options.material).expanduser()
    if material(options.material) is None and (path.exists() or path.suffix or len(path.parts) > 1):
        return _of_file(path, options, space_group, cell)
    if options.axes:
        raise UsageError("the materials of the table have their axes; -axes is for -stiffness", key="-axes")
    return Stiffness.of_material(options.material, space_group, cell)


def _of_file(path: Path, options: StressOptions, space_group: int, cell: Sequence[float]) -> Stiffness:
    found = read_material(path)
    if found.space_group is not None and crystal_system(found.space_group) != crystal_system(space_group):
        reason = f"is {crystal_system(found.space_group)}, but the grains are {crystal_system(space_group)}"
        raise FormatError(reason, file=path, key="space_group", value=found.space_group)
    try:
        return Stiffness.from_constants(
            found.constants,
            space_group,
            cell,
            axes=options.axes or found.axes,
            name=found.name or path.stem,
            source=found.source or path.name,
            slip=found.slip,
        )
    except MidasError as error:
        raise FormatError(error.reason, file=path, key=error.key, value=error.value) from None


def _written(options: StressOptions, space_group: int, cell: Sequence[float]) -> Stiffness:
    """Constants on the command line: names with values, or a matrix."""
    words = options.stiffness
    try:
        if all("=" in word for word in words):
            pairs = [word.split("=", 1) for word in words]
            constants = {name: float(value) for name, value in pairs}
            if len(constants) < len(pairs):
                raise UsageError("names a constant twice", key="-stiffness", value=" ".join(words))
            return Stiffness.from_constants(constants, space_group, cell, axes=options.axes, name="given")
        numbers = np.array([float(word) for word in words])
    except ValueError:
        numbers = np.empty(0)
    matrix = np.empty((6, 6))
    if len(numbers) == 36:
        matrix[:] = numbers.reshape(6, 6)
    elif len(numbers) == 21:
        upper = np.triu_indices(6)
        matrix[upper] = numbers
        matrix.T[upper] = numbers
    else:
        reason = "must be constants such as C11=250.8 (GPa), or the 21 or 36 numbers of a matrix"
        raise UsageError(reason, key="-stiffness", value=" ".join(words))
    return Stiffness.from_voigt(matrix, space_group, cell, axes=options.axes, name="given")


def slip_words(options: StressOptions, stiffness: Stiffness) -> tuple[str, ...]:
    """The families that count: those of the command line, else of the material."""
    return options.slip or stiffness.slip


def told_by_the_spots(stiffness: Stiffness, space_group: int, cell: Sequence[float]) -> bool:
    """Whether orientations that the positions of spots cannot tell apart have the same stiffness.

    See docs/theory/stress.md#what-the-spots-do-not-tell.
    """
    operators = matrices_from_quaternions(symmetry_operators(space_group, cell))
    return symmetry_error(stiffness.voigt, operators) < TOLERANCE
