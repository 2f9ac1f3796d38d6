"""The steps of a layer in their order: whose parameters each reads, which files it reads and writes.

The one list of what belongs to what; whoever adds a file to a stage adds it here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from midas.formats import passes
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.named_paths import places_of, sought

#: files by the names that the ledger gives them; several under one name are compared together
Files: TypeAlias = Mapping[str, Sequence[Path]]
_FilesOf: TypeAlias = Callable[[Layer, Parameters], Files]


@dataclass(frozen=True)
class Step:
    """What a step reads and writes.

    Parameters
    ----------
    name : of its logs
    reader : whose parameters it reads, in `midas.parameters.readers`
    inputs, outputs : files; those that there need not be count, too, since they may come or go
    more : keywords of its function on which its results depend
    leaf : no other step reads what it writes
    placed : whether what it writes names the folder of the layer
    rewrites : names of files that another step has written, and that it may write again after itself
    """

    name: str
    reader: str
    inputs: _FilesOf
    outputs: _FilesOf
    more: tuple[str, ...] = ()
    leaf: bool = False
    placed: bool = False
    rewrites: frozenset[str] = frozenset()


def _of(layer: Layer, *paths: Path | None) -> dict[str, Sequence[Path]]:
    """Files by their names in the layer folder, by their own where they stand elsewhere."""
    named: dict[str, Sequence[Path]] = {}
    folder = os.path.abspath(layer.folder)  # a command of a stage names it from where it was called
    for path in paths:
        if path is not None:
            whole = Path(os.path.abspath(path))
            inside = whole.is_relative_to(folder)
            named[str(whole.relative_to(folder)) if inside else path.name] = (path,)
    return named


def _frames(layer: Layer, settings: Parameters) -> int:
    if layer.archive is None:
        return 0
    from midas.experiment.scan import Scan  # only here: it reads archives

    return Scan.of(layer, settings).frames


def _peaks(layer: Layer, settings: Parameters) -> dict[str, Sequence[Path]]:
    """The two tables of every frame."""
    numbers = range(1, _frames(layer, settings) + 1)
    tables, pixels = ([path(number) for number in numbers] for path in (layer.peaks, layer.peak_pixels))
    return {"Temp/*_PS.csv": tables, "Temp/*_PX.bin": pixels}


def _merged(layer: Layer, settings: Parameters) -> Path | None:
    return layer.merged(_frames(layer, settings)) if layer.archive is not None else None


def _radius(layer: Layer, settings: Parameters) -> Path | None:
    return layer.radius(_frames(layer, settings)) if layer.archive is not None else None


def _named(layer: Layer, settings: Parameters, key: str) -> Path | None:
    """The file that a key names, which the stage that reads it finds in the same place."""
    return sought(settings[key], *places_of(layer.folder)) if settings.get(key, "") else None


def _region(layer: Layer) -> tuple[Path, ...]:
    return (layer.detector_mask, layer.detector_pixels)


def _read_by_peaks(layer: Layer, settings: Parameters) -> Files:
    hkls = None if settings["DoFullImage"] else layer.hkls
    return _of(layer, layer.archive, hkls, _named(layer, settings, "PanelShiftsFile"))


def _read_by_merge(layer: Layer, settings: Parameters) -> Files:
    files = {**_of(layer, layer.archive), **_peaks(layer, settings)}
    if not settings["UsePixelOverlap"]:
        del files["Temp/*_PX.bin"]
    return files


def _read_by_indexing(layer: Layer, settings: Parameters) -> Files:
    seeds = _named(layer, settings, "GrainsFile")
    return _of(layer, layer.spots_binary, layer.hkls, *_region(layer), seeds or layer.spots_to_index)


def _written_by_indexing(layer: Layer, settings: Parameters) -> Files:
    seeds = layer.spots_to_index if settings.get("GrainsFile", "") else None
    return _of(layer, layer.index_best, layer.index_best_full, seeds)


def _read_by_refinement(layer: Layer, _: Parameters) -> Files:
    of_index = (layer.index_best, layer.index_best_full, layer.spots_to_index)
    return _of(layer, *of_index, layer.extra_info_binary, layer.hkls, layer.spot_flags, *_region(layer))


def refined(layer: Layer) -> tuple[Path, ...]:
    """The files of the refinement."""
    return (layer.key, layer.orient_pos_fit, layer.process_key, layer.fit_best)


def _read_by_grains(layer: Layer, _: Parameters) -> Files:
    seeds = (layer.spots_to_index, layer.seed_passes)
    of_setup = (layer.extra_info, layer.ids_hash, layer.spot_flags, layer.paramstest, layer.hkls)
    return _of(layer, *refined(layer), *seeds, *of_setup, *_region(layer))


def _written_by_grains(layer: Layer, _: Parameters) -> Files:
    return _of(layer, *_selected(layer), layer.grain_quality)


def _selected(layer: Layer) -> tuple[Path, ...]:
    of_spots = (layer.grain_ids_key, layer.spot_matrix, layer.spot_owners, layer.seed_verdicts)
    return (layer.grains, *of_spots)


def _read_by_pull(layer: Layer, settings: Parameters) -> Files:
    of_grains = (layer.grains, layer.spot_matrix, layer.grain_quality)
    of_setup = (layer.extra_info, layer.paramstest, layer.hkls, _merged(layer, settings), _radius(layer, settings))
    return _of(layer, layer.archive, *of_grains, *of_setup, _named(layer, settings, "PanelShiftsFile"), *_region(layer))


def _read_by_sigma(layer: Layer, settings: Parameters) -> Files:
    of_grains = (layer.grains, layer.spot_matrix, layer.spot_owners, layer.spots_measured)
    of_setup = (layer.extra_info, layer.id_rings, layer.paramstest, layer.spot_flags, _radius(layer, settings))
    return _of(layer, *of_grains, *of_setup, layer.geometry_fit)


def _read_by_consolidation(layer: Layer, settings: Parameters) -> Files:
    of_spots = (layer.hkls, _merged(layer, settings), layer.merge_map, _radius(layer, settings), layer.id_rings)
    of_setup = (layer.ids_hash, layer.extra_info, layer.spots_to_index, layer.paramstest, layer.seed_passes)
    of_grains = (*_selected(layer), layer.grain_quality, layer.spots_measured, layer.grains_sigma)
    peaks = _peaks(layer, settings) if layer.archive is not None else {}
    return {**peaks, **_of(layer, *of_spots, *of_setup, *of_grains)}


def _written_by_geometry(layer: Layer, _: Parameters) -> Files:
    again = Layer(layer.geometry_folder, layer.archive, data_file=layer.data_file)
    pages = (again.geometry_fit, again.geometry_spots, again.geometry_page, again.consolidated)
    files = sorted(again.folder.glob("*_refined*.txt"))
    return _of(layer, *pages, again.grains, again.paramstest, *files)


HKLS = Step("hkls", "hkls", lambda *_: {}, lambda layer, _: _of(layer, layer.hkls))
PEAKS = Step("peaksearch", "peaks", _read_by_peaks, _peaks, more=("fit",))
MERGE = Step(
    "merge_overlaps",
    "merge",
    _read_by_merge,
    lambda layer, own: _of(layer, _merged(layer, own), layer.merge_map, layer.merge_flags),
)
RADIUS = Step(
    "calc_radius",
    "radius",
    lambda layer, own: _of(layer, layer.archive, layer.hkls, _merged(layer, own)),
    lambda layer, own: _of(layer, _radius(layer, own)),
)
FIT_SETUP = Step(
    "fit_setup",
    "fit_setup",
    lambda layer, own: _of(layer, layer.archive, layer.hkls, _radius(layer, own), layer.merge_flags),
    lambda layer, _: _of(
        layer, layer.id_rings, layer.ids_hash, layer.spots_to_index, layer.input_all, layer.input_all_no_header,
        layer.extra_info, layer.paramstest, layer.spot_flags, layer.detector_pixels,
    ),
    more=("more_lines",),
    placed=True,
)  # fmt: skip
BINNING = Step(
    "binning",
    "binning",
    lambda layer, _: _of(layer, layer.input_all, layer.extra_info),
    lambda layer, _: _of(layer, layer.spots_binary, layer.extra_info_binary, layer.bins, layer.bin_counts),
)
INDEXING = Step("indexing", "indexing", _read_by_indexing, _written_by_indexing, more=("seed_count",))
REFINEMENT = Step(
    "refining",
    "refinement",
    _read_by_refinement,
    lambda layer, _: _of(layer, *refined(layer)),
    more=("seed_count",),
)
PROCESS_GRAINS = Step("process_grains", "grains", _read_by_grains, _written_by_grains, more=("track",))
PULL = Step(
    "measure_spots",
    "pull",
    _read_by_pull,
    lambda layer, _: _of(layer, layer.grains, layer.grain_quality, layer.spots_measured),
)
SIGMA = Step(
    "grain_sigma",
    "sigma",
    _read_by_sigma,
    lambda layer, _: _of(layer, layer.grains_sigma, layer.grain_quality),
    more=("track",),
    rewrites=frozenset({"GrainQuality.csv"}),
)
CONSOLIDATION = Step(
    "consolidation",
    "results",
    _read_by_consolidation,
    lambda layer, _: _of(layer, layer.consolidated),
    more=("per_spot_groups",),
)
REPORT = Step(
    "report",
    "results",
    lambda layer, _: _of(layer, layer.consolidated, layer.grains, layer.grains_sigma, layer.stress),
    lambda layer, _: _of(layer, layer.report, layer.report_picture),
    leaf=True,
)

_OF_PASS = re.compile(r"_pass([0-9]{1,6})$")
#: the passes of the indexing together, which are complete when no other one follows
PASSES = "passes"


def pass_name(step: Step, number: int) -> str:
    """What a step is called in a pass of the indexing."""
    return step.name if number == 1 else f"{step.name}_pass{number}"


def first_of(name: str) -> str:
    """The step that a later pass repeats: ``indexing_pass2`` is ``indexing``."""
    return name.partition("_pass")[0]


def pass_number(name: str) -> int:
    """The pass of the indexing in which a step is called this."""
    found = _OF_PASS.search(name)
    return int(found[1]) if found else 1


def pass_of(step: Step, seed_pass: passes.SeedPass) -> Step:
    """A step in a later pass, whose refined keys stand apart until they are among the others."""
    outputs = step.outputs
    if step is REFINEMENT:

        def outputs(layer: Layer, _: Parameters) -> Files:
            return _of(layer, passes.partial_key(layer), *refined(layer)[1:])

    return replace(step, name=pass_name(step, seed_pass.number), outputs=outputs)


def conversion(files: Files, archive: Path) -> Step:
    """The conversion of raw files to an archive, as a step."""
    return Step("ZipOut", "convert", lambda *_: files, lambda *_: {archive.name: (archive,)})


def first_look(files: Sequence[Path]) -> Step:
    """The first look at an archive, as a step; it may fail to write some of its files."""
    return Step("first_look", "look", lambda layer, _: _of(layer, layer.archive), lambda *_: {"look": files}, leaf=True)


def geometry(parameter_file: Path | None) -> Step:
    """The geometry from the grains, as a step; it writes the user's file with the new one."""

    def read(layer: Layer, _: Parameters) -> Files:
        given = {} if parameter_file is None else {"parameter file": (parameter_file,)}
        return given | _of(layer, layer.consolidated, layer.grains, layer.grains_sigma)

    return Step("refine_geometry", "geometry", read, _written_by_geometry, leaf=True)


def spot_table(table: Path, parameter_file: Path) -> Step:
    """A table of spots from elsewhere in place of the steps up to the setup."""
    inputs = {f"spots of {table.parent.name}": (table,), parameter_file.name: (parameter_file,)}

    def written(layer: Layer, _: Parameters) -> Files:
        return _of(layer, layer.extra_info, layer.input_all, layer.spots_to_index, layer.paramstest)

    return Step("spot_table", "pipeline", lambda layer, _: inputs | _of(layer, layer.hkls), written, placed=True)
