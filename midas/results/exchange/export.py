"""``ff-export``: the grains of a layer or of a grain list as files of other programs (docs/exports.md)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.results.exchange import damask, ebsd, feature_csv, file_of, hexrd, neper, nexus, paraview, read_grain_list
from midas.results.exchange.exported import Exported, Files, NotPossibleError
from midas.results.exchange.imaged11 import format_map
from midas.results.exchange.imaged11_spots import format_parameters, format_spots, spot_table
from midas.results.exchange.instrument import detector_of
from midas.results.exchange.options import ALL, ExportOptions
from midas.results.exchange.symmetry import centring
from midas.results.reading import Results, read_results
from midas.runtime.errors import MidasError, UsageError
from midas.runtime.files import keep_inputs, make_folder, readable, write_together
from midas.runtime.provenance import header_lines
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

_FOLDER = "exports"
_ENDINGS = ("_consolidated.h5", ".h5", ".hdf5", ".csv", ".out", ".map", ".ubi", ".nxs", ".txt")


def _hexrd(exported: Exported) -> Files:
    return {".grains.out": hexrd.format_grains(exported.grains, exported.cell, exported.header)}


def _imaged11(exported: Exported) -> Files:
    """The grains, and of a layer its spots and its instrument."""
    grains = exported.grains
    if not np.isfinite(grains.cells).all():
        raise NotPossibleError("tells no cells of its grains, which a UBI needs", file=exported.file)
    found = {".map": format_map(grains, exported.header)}
    results = exported.results
    spots = None if results is None else results.all_spots
    detector = detector_of(results)
    if results is None or spots is None or detector is None:
        log.warning("%s: has no spots or no instrument beside it; only the .map is written", exported.file)
        return found
    table = spot_table(spots, detector, _labels(results, len(spots)), _pixels(results, len(spots)))
    letter = centring(exported.space_group, exported.cell)
    return {**found, ".flt": format_spots(table), ".par": format_parameters(detector, exported.cell, letter)}


def _labels(results: Results, count: int) -> NDArray[np.int64]:
    """Of spots 1 ... count the row of the grain; of a spot of two grains the owner, else the first; -1: of none."""
    rows = np.repeat(np.arange(len(results)), np.diff(results.spot_starts))
    ids = results.spots["spot_id"]
    labels = np.full(count + 1, -1, np.int64)
    sound = (ids >= 1) & (ids <= count)
    labels[ids[sound][::-1]] = rows[sound][::-1]
    if results.owners is not None:
        place = {grain_id: row for row, grain_id in reversed(list(enumerate(results.grains["grain_id"].tolist())))}
        for spot, owner in zip(results.owners.integers("SpotID"), results.owners.integers("GrainID"), strict=True):
            if 1 <= spot <= count and labels[spot] >= 0 and owner in place:
                labels[spot] = place[owner]
    return labels[1:]


def _pixels(results: Results, count: int) -> NDArray[np.int64] | None:
    """Of spots 1 ... count the pixels of their peaks; None where the peaks are not known."""
    peaks = results.peaks
    if not len(peaks):
        log.warning("%s: has no peaks; the .flt has no numbers of pixels", results.path)
        return None
    sound = (peaks["spot_id"] >= 1) & (peaks["spot_id"] <= count)
    pixels = np.bincount(peaks["spot_id"][sound], peaks["pixels"][sound], count + 1)
    return np.maximum(np.rint(pixels[1:]).astype(np.int64), 1)


_WRITERS: Mapping[str, Callable[[Exported], Files]] = {
    "paraview": paraview.files,
    "imaged11": _imaged11,
    "hexrd": _hexrd,
    "neper": neper.files,
    "damask": damask.files,
    "dream3d": feature_csv.files,
    "ctf": ebsd.ctf_files,
    "ang": ebsd.ang_files,
    "nexus": nexus.files,
}


@dataclass(frozen=True)
class Exports:
    """What was written.

    Parameters
    ----------
    files : in the order of the formats
    skipped : format to the reason why there is no file of it
    """

    files: Sequence[Path]
    skipped: Mapping[str, str]


def export(path: Path, options: ExportOptions | None = None) -> StageResult[Exports]:
    """Write the grains of a layer folder, a consolidated HDF5 file or any grain list for other programs.

    Raises
    ------
    FormatError : no such grain list. NotPossibleError : it lacks what a format needs that was named; of "all" formats
        such a one is left out with a warning
    """
    options = ExportOptions() if options is None else options
    file = file_of(path)
    results = _results(path)
    grains = read_grain_list(file)
    exported = Exported.of(grains, file, header_lines("ff-export", [file]), results, options)
    made: dict[str, Files] = {}
    skipped: dict[str, str] = {}
    for name in options.chosen:
        try:
            made[name] = _WRITERS[name](exported)
        except NotPossibleError as error:
            if ALL not in options.formats:
                raise
            skipped[name] = error.reason
            log.warning("%s: %s", name, error)
    paths = _paths(file, made, options)
    contents = {paths[name, ending]: content for name, files in made.items() for ending, content in files.items()}
    for target in contents:
        keep_inputs(target, *_inputs(file, results))
    _write(contents)
    return StageResult("export", _summary(grains.name, len(grains), contents, skipped), Exports([*contents], skipped))


def _write(contents: Mapping[Path, bytes]) -> None:
    """All files or none, and then no new folder either."""
    folders = dict.fromkeys(path.parent for path in contents)
    new = [folder for folder in folders if not folder.exists()]
    for folder in folders:
        make_folder(folder)
    try:
        write_together(contents)
    except BaseException:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _inputs(file: Path, results: Results | None) -> list[Path]:
    """Files that no export may be written over."""
    if results is None or results.layer is None:
        return [file]
    layer, lengths = results.layer, results.folder.glob("R*_StartNr_1_EndNr_*.csv")
    of_spots = (layer.hkls, layer.merge_map, layer.id_rings, layer.ids_hash, layer.spots_to_index, layer.extra_info)
    others = (layer.input_all, layer.paramstest, layer.stress, results.archive)
    return [file, *of_spots, *layer.grain_results, *lengths, *(path for path in others if path is not None)]


def _results(path: Path) -> Results | None:
    """The layer behind the grains; None where there is but a grain list of another program."""
    try:
        results = read_results(path)
        len(results)
    except MidasError:
        return None
    return results


def _paths(file: Path, made: Mapping[str, Files], options: ExportOptions) -> dict[tuple[str, str], Path]:
    """Where each file goes: into a folder, under the name of the layer; or one file where the user says."""
    endings = [(name, ending) for name, files in made.items() for ending in files]
    output = options.output
    suffixes = {Path(ending).suffix or ending for _, ending in endings}
    if output is not None and output.suffix in suffixes and not output.is_dir():
        if len(endings) != 1:
            reason = f"is one file, but {len(endings)} would be written; name a folder"
            raise UsageError(reason, key="-o", value=output)
        return {endings[0]: output}
    folder = file.parent / _FOLDER if output is None else output
    stem = _stem(file)
    return {(name, ending): folder / f"{stem}{ending}" for name, ending in endings}


def _stem(file: Path) -> str:
    """A ``Grains.csv`` is called after its layer, anything else after itself; _ stands for what Neper cannot read."""
    name = file.resolve().parent.name
    if file.name != "Grains.csv":
        ending = next((ending for ending in _ENDINGS if file.name.lower().endswith(ending)), "")
        name = file.name[: len(file.name) - len(ending)]
    return re.sub(r"[^\w.+-]", "_", name) or "grains"


def _summary(name: str, count: int, contents: Mapping[Path, bytes], skipped: Mapping[str, str]) -> Mapping[str, object]:
    rows: dict[str, object] = {"Grains": f"{count} of {readable(name)}"}
    for path, content in contents.items():
        rows[readable(path.name)] = f"{len(content):,} bytes"
    rows |= {f"{name} not written": reason for name, reason in skipped.items()}
    if contents:
        folder = readable(str(next(iter(contents)).parent))
        rows["Next"] = f"open the files in {folder}; docs/exports.md says how, and which axes they use"
    return rows
