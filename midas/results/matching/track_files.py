"""Tracking from grain lists to files: what ``ff-track`` does (docs/tracking.md)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from midas.experiment.crystal import why_impossible
from midas.experiment.orientation import symmetry_operators
from midas.experiment.setting import axes_vary
from midas.formats.tracks import format_tracks
from midas.results.exchange import file_of, read_grain_list
from midas.results.grain_list import GrainList
from midas.results.matching.candidates import snapshot
from midas.results.matching.track_options import TrackOptions
from midas.results.matching.track_store import write_hdf5
from midas.results.matching.tracking import LINKED, LOST, NEW, RETURNED, UNDECIDED, track
from midas.results.matching.tracks import Tracks, read_extra, tracks_of
from midas.runtime.errors import FormatError, UsageError
from midas.runtime.files import keep_inputs, make_folder, write_atomic
from midas.runtime.provenance import header_lines
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)


def track_files(options: TrackOptions) -> StageResult[Tracks]:
    """Track the grains of a series and write the table and the HDF5 file.

    Raises
    ------
    UsageError : fewer than two steps, or no symmetry. FormatError : a grain list that cannot be used.
    """
    if len(options.layers) < 2:
        raise UsageError("a series needs two steps or more", key="LAYER", value=len(options.layers))
    if not 0 < options.max_rotation <= 90:
        raise UsageError("must be greater than 0 and at most 90", key="-maxRotation", value=options.max_rotation)
    inputs = [file_of(path) for path in options.layers]
    for output in (options.table, options.store, options.page):
        keep_inputs(output, *inputs)
    lists = [_in_order(read_grain_list(path, cell=options.lattice)) for path in options.layers]
    space_group, cell = _crystal(options, lists)
    operators = symmetry_operators(space_group, cell)
    snapshots = [snapshot(one, cell) for one in lists]
    for number, one in enumerate(snapshots):
        one.positions[:, 2] += number * options.beam_thickness
    extras = [read_extra(path, one) for path, one in zip(options.layers, lists, strict=True)]
    series = track(snapshots, operators, options.max_rotation)
    found = tracks_of(series, lists, snapshots, extras, operators, _names(options.layers))
    make_folder(options.result_folder)
    head = header_lines("ff-track", inputs)
    write_hdf5(options.store, found, inputs)
    write_atomic(options.table, format_tracks(found.table(), head))
    return StageResult("track", _summary(found, options), found)


def _in_order(grains: GrainList) -> GrainList:
    """By the ids, so that the order of the rows of a file does not matter."""
    bad = ~(np.isfinite(grains.orientations).all(axis=(1, 2)) & np.isfinite(grains.positions).all(axis=1))
    if bad.any():
        raise FormatError(f"grain {grains.ids[bad][0]} has no finite orientation and position", file=grains.name)
    return grains.take(np.argsort(grains.ids, kind="stable"))


def _crystal(options: TrackOptions, lists: Sequence[GrainList]) -> tuple[int, tuple[float, ...] | None]:
    """Space group and cell: those that are given, else those of the lists, which must agree."""
    told = {one.space_group for one in lists if one.space_group is not None}
    if options.space_group is None and len(told) != 1:
        reason = "the lists do not tell it" if not told else f"the lists tell {', '.join(map(str, sorted(told)))}"
        raise UsageError(f"{reason}; give the space group", key="-spaceGroup")
    cell = options.lattice or next((one.cell for one in lists if one.cell is not None), None)
    if options.lattice is not None and (reason := why_impossible(options.lattice)):
        raise UsageError(reason, key="-lattice", value=" ".join(map(str, options.lattice)))
    space_group = told.pop() if options.space_group is None else options.space_group
    if cell is None and axes_vary(space_group):
        log.warning("no list says its cell: standard axes of space group %d (-lattice)", space_group)
    return space_group, cell


def _names(paths: Sequence[Path]) -> list[str]:
    """What the steps are called: the shortest ends of their paths that tell them apart."""
    shown = [path.parent if path.name == "Grains.csv" else path for path in paths]
    longest = max(len(path.parts) for path in shown)
    for length in range(1, longest + 1):
        names = ["/".join(path.parts[-length:]) for path in shown]
        if len(set(names)) == len(names):
            return names
    return [f"{number} {path.name}" for number, path in enumerate(shown, 1)]


def _summary(found: Tracks, options: TrackOptions) -> dict[str, object]:
    series = found.series
    rows: dict[str, object] = {f"Step 1, {found.names[0]}": f"{int((found.grain_ids[:, 0] >= 0).sum())} grains"}
    for step, motion in enumerate(series.motions, 1):
        counts = {
            "linked": series.count(step, LINKED),
            "returned": series.count(step, RETURNED),
            "lost": _newly_lost(found, step),
            "new": series.count(step, NEW),
            "ambiguous": series.count(step, UNDECIDED),
        }
        said = ", ".join(f"{value} {name}" for name, value in counts.items() if value or name in ("linked", "lost"))
        turn = float(np.linalg.norm(motion.rotation_vector))
        moved = float(np.linalg.norm(motion.displacement))
        of = f"turned by {turn:.3f} degrees, moved by {moved:.1f} µm" if motion.agreeing else "no common motion found"
        rows[f"Step {step + 1}, {found.names[step]}"] = f"{said}; {of}"
    whole = int((found.grain_ids >= 0).all(axis=1).sum())
    rows["Tracks"] = f"{len(found)}, of them {whole} through all steps"
    rows["Results"] = f"{options.table}, {options.store.name}"
    rows["Next"] = f"open {options.page}"
    return rows


def _newly_lost(found: Tracks, step: int) -> int:
    """Grains that were there in the step before and are lost in this one."""
    return int(((found.grain_ids[:, step - 1] >= 0) & (found.series.states[:, step] == LOST)).sum())
