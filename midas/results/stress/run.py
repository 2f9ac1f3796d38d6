"""``ff-stress``: the stress of the grains of a layer, written as a table and told in words."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.formats import stress as stress_format
from midas.formats.stress import StressFile
from midas.formats.table import Table
from midas.results.stress import tensors
from midas.results.stress.crystal import slip_words, stiffness_of, told_by_the_spots
from midas.results.stress.equilibrium import Average, Change, average, by_axes, one_scale, reference_cell
from midas.results.stress.frames import crystal_system
from midas.results.stress.grains import (
    GrainStresses,
    Shear,
    StrainedGrains,
    shear_of,
    sigma_of,
    sigmas,
    stresses_of,
    von_mises_gradients,
)
from midas.results.stress.inputs import TITLES, grains_of
from midas.results.stress.options import StressOptions
from midas.results.stress.slip import SlipSystems, slip_systems
from midas.results.stress.stiffness import Stiffness
from midas.results.stress.words import notes_of, summary_of
from midas.runtime.errors import NothingFoundError, OutputError, UsageError
from midas.runtime.files import keep_inputs
from midas.runtime.provenance import header_lines
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from midas.results.reading import Results

Array = NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StressResult:
    """What ``ff-stress`` found.

    Parameters
    ----------
    grains : those that have a strain
    stiffness, systems : of the crystal; no systems where nobody named one
    stresses, shear : of each grain
    mean : average over the volume, sample frame
    change : of the reference cell with which the average is the applied stress, or none
    applied : whether the stresses have this change
    file : the table
    """

    grains: StrainedGrains
    stiffness: Stiffness
    systems: SlipSystems | None
    stresses: GrainStresses
    shear: Shear | None
    mean: Average
    change: Change
    applied: bool
    file: StressFile


def run(results: Results, options: StressOptions) -> StageResult[StressResult]:
    """Compute the stress of every grain and write ``Stress.csv``.

    Parameters
    ----------
    results : of the layer, see `midas.read_results`
    options : the crystal, the load, what to write

    Raises
    ------
    UsageError : options that do not fit together
    ParameterError : no stiffness of this crystal
    NothingFoundError : no grains
    """
    output = options.output or results.folder / "Stress.csv"
    if not output.parent.is_dir():
        raise OutputError("there is no such folder", file=output.parent)
    inputs = [path for path in _inputs(results, options) if path.is_file()]
    keep_inputs(output, *inputs, None if results.layer is None else results.layer.consolidated)
    found = stress_of_layer(results, options)
    found.file.write(output, header_lines("ff-stress", inputs))
    return StageResult("stress", summary_of(found, options, results.cell, output), found)


def stress_of_layer(results: Results, options: StressOptions) -> StressResult:
    """The stress of every grain, without writing anything.

    Parameters and errors are those of `run`.
    """
    _check(options)
    stiffness = stiffness_of(options, results.space_group, results.cell)
    words = slip_words(options, stiffness)
    systems = slip_systems(words, results.space_group, results.cell) if words else None
    everything = grains_of(results, options.strain)
    grains = everything.known()
    if not len(grains):
        raise NothingFoundError("holds no grains with a strain", nothing="no grains", file=results.path)
    _warn(everything, grains, stiffness, results)
    change = _change(grains, stiffness, results, options)
    applied = options.correct != "no"
    given = (change.stresses, change.covariances) if applied else None
    stresses = stresses_of(grains, stiffness, given)
    load = None if options.load is None else np.array(options.load)
    shear = None if systems is None else shear_of(stresses, systems, grains.orientations, load)
    mean = change.after if applied else average(stresses.sample, stresses.sample_covariances, grains.weights)
    table = _table(grains, stresses, systems, shear, options)
    labels = () if systems is None else _labels(systems)
    notes = notes_of(stiffness, TITLES[options.strain], mean, change, applied, options, results.cell)
    file = StressFile(table, notes, labels)
    return StressResult(grains, stiffness, systems, stresses, shear, mean, change, applied, file)


def _check(options: StressOptions) -> None:
    if options.load is not None and not np.any(options.load):
        raise UsageError("must be a direction", key="-load", value=" ".join(f"{x:g}" for x in options.load))
    if options.applied is not None and len(options.applied) not in (1, 6):
        text = " ".join(f"{x:g}" for x in options.applied)
        raise UsageError("must be one number along -load, or six: 11 22 33 23 13 12", key="-applied", value=text)
    if options.applied is not None and len(options.applied) == 1 and options.applied[0] and options.load is None:
        raise UsageError("needs -load, its direction", key="-applied", value=f"{options.applied[0]:g}")
    if options.correct != "no" and options.applied is None:
        raise UsageError(
            "needs -applied, the macroscopic stress: 0 without load", key="-correct", value=options.correct
        )


def applied_stress(options: StressOptions) -> Array:
    """(6,) Mandel vector of the macroscopic stress, MPa, sample frame; 0 where nobody named one."""
    if options.applied is None or not any(options.applied):
        return np.zeros(6)
    if len(options.applied) == 6:
        return np.array(options.applied) * tensors.FACTORS
    along = np.array(options.load) / np.linalg.norm(np.array(options.load))
    return tensors.mandel(options.applied[0] * np.outer(along, along))


def _warn(everything: StrainedGrains, grains: StrainedGrains, stiffness: Stiffness, results: Results) -> None:
    if missing := len(everything) - len(grains):
        log.warning("%d of %d grains have no strain and are left out", missing, len(everything))
    unknown = int((~np.isfinite(grains.covariances).all(axis=(1, 2))).sum())
    if 0 < unknown < len(grains):
        log.warning(
            "%d of %d grains have no sigma; in averages they count with that of the others", unknown, len(grains)
        )
    if not told_by_the_spots(stiffness, results.space_group, results.cell):
        log.warning(
            "the stiffness has less symmetry than the lattice: of orientations that give the same spots, each grain "
            "has one at random, and its stress is that of this one (docs/theory/stress.md#what-the-spots-do-not-tell)"
        )


def _change(grains: StrainedGrains, stiffness: Stiffness, results: Results, options: StressOptions) -> Change:
    scales = one_scale()
    if options.correct == "axes":
        scales = by_axes(crystal_system(results.space_group), results.cell)
    return reference_cell(grains, stiffness, applied_stress(options), scales)


def _labels(systems: SlipSystems) -> tuple[str, ...]:
    return tuple(f"{systems.family_of(k)} {label}" for k, label in enumerate(systems.labels))


def _table(
    grains: StrainedGrains,
    stresses: GrainStresses,
    systems: SlipSystems | None,
    shear: Shear | None,
    options: StressOptions,
) -> Table:
    """The columns of ``Stress.csv``."""
    n = len(grains)
    unit = np.tile(tensors.UNIT / 3, (n, 1))
    gradients = von_mises_gradients(stresses.sample)
    none = np.full(n, np.nan)
    columns: list[Array] = [grains.ids.astype(np.float64), grains.radii]
    columns += [*(stresses.sample / tensors.FACTORS).T, *(stresses.crystal / tensors.FACTORS).T]
    columns += [tensors.hydrostatic(stresses.sample), tensors.von_mises(stresses.sample)]
    if shear is None:
        columns += [none, np.zeros(n), none, none]
    else:
        columns += [shear.largest, shear.active.astype(np.float64) + 1, shear.general, shear.schmid]
    columns += [*sigmas(stresses.sample_covariances).T, *sigmas(stresses.crystal_covariances).T]
    columns += [sigma_of(unit, stresses.sample_covariances), sigma_of(gradients, stresses.sample_covariances)]
    columns += [none if shear is None else shear.sigma]
    names = list(stress_format.NAMES)
    if systems is not None and shear is not None:
        for k, family in enumerate(systems.families):
            names.append(f"{stress_format.FAMILY}{family}")
            columns.append(np.abs(shear.resolved[:, systems.starts[k] : systems.starts[k + 1]]).max(axis=1))
        if options.all_systems:
            names += [f"{stress_format.SYSTEM}{k}" for k in range(1, len(systems) + 1)]
            columns += list(shear.resolved.T)
    return Table(names, np.array(columns))


def _inputs(results: Results, options: StressOptions) -> list[Path]:
    """Files that the result is made of."""
    layer = results.layer
    paths = [results.path] if results.path.is_file() or layer is None else [layer.grains]
    if layer is not None:
        paths.append(layer.grains_sigma)
    if options.material and (path := Path(options.material).expanduser()).is_file():
        paths.append(path)
    return paths
