"""From finished layers to their refined geometry, once or until nothing moves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from midas.archive import Archive
from midas.calibration import GeometryResult, geometry_from_grains
from midas.calibration.grains.layers import layer_of
from midas.calibration.grains.result import HELD, KEPT, RAILED, Number
from midas.calibration.grains.summary import text_of
from midas.diagnosis.certificate import Certificate, certificate
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.pipeline.geometry import outputs, passes
from midas.pipeline.geometry.options import GeometryOptions, words_of
from midas.pipeline.geometry.parameter_file import check_output, copy_in, output_in, source_of
from midas.runtime.errors import StageError, UsageError
from midas.runtime.files import keep_inputs
from midas.runtime.parallel import thread_count
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

#: a number has settled once it moves by less than this part of its sigma, or of the change that moves spots by a pixel
_SIGMAS, _PIXELS = 0.5, 0.002


@dataclass(frozen=True)
class Refined:
    """A geometry that is written.

    Parameters
    ----------
    result : of the last pass, with the start of the first one
    layers : where the tables are: those of the user, or the ones in their folders ``Geometry``
    files : the new parameter files
    certificates : of each layer, if they were asked for
    passes : how often the stages ran again
    settled : whether nothing moved any more; None when they did not run again
    """

    result: GeometryResult
    layers: tuple[Layer, ...]
    files: tuple[Path, ...]
    certificates: tuple[Certificate, ...]
    passes: int
    settled: bool | None

    def text(self) -> str:
        """For the console."""
        names = " and ".join(self._names())
        lines = [text_of(self.result, names)]
        if self.settled is not None:
            end = "nothing moves any more" if self.settled else "still moving: see docs/verified_geometry.md"
            lines.append(f"{self.passes} pass{'' if self.passes == 1 else 'es'} of the stages: {end}")
        for name, one in zip(self._names(), self.certificates, strict=False):
            lines += [*([name] if len(self.layers) > 1 else []), one.text()]
        return "\n".join(lines)

    def _names(self) -> list[str]:
        """Of the layers, with as much of their paths as tells them apart."""
        names = [_name(layer) for layer in self.layers]
        return names if len(set(names)) == len(names) else [str(layer.folder) for layer in self.layers]


def run(folders: Sequence[Path | Layer], options: GeometryOptions, *, per_spot_groups: int = 0) -> StageResult[Refined]:
    """Refine the geometry of finished layers, and write it.

    Parameters
    ----------
    folders : layer folders; several are detectors of one scan
    per_spot_groups : of the consolidated files of the passes

    Raises
    ------
    StageError : nothing can be refined, or the fit is not one to trust; nothing is written
    UsageError : an option that there is not
    """
    options = options.checked()
    layers = tuple(_layer(folder) for folder in folders)
    parameters = [_parameters(layer) for layer in layers]
    files = _files(layers, options)
    for layer, own in zip(layers, parameters, strict=True):
        source_of(layer, own, options.parameter_file)  # there is one, before anything takes time
    result = geometry_from_grains(layers, **_arguments(options))
    number, settled, last = 0, None, layers
    runs: list[passes.AgainRun] = []
    if options.max_passes:
        result, runs, number, settled = _until_settled(result, layers, parameters, options, per_spot_groups)
        last = tuple(one.layer for one in runs)
    certificates: tuple[Certificate, ...] = ()
    if options.certificate:
        threads = thread_count(options.threads)
        certificates = tuple(certificate(layer, _parameters(layer), threads) for layer in last)
    outputs.write(result, last, parameters, files, certificates, options.parameter_file, layers)
    for one in runs:
        one.finish_with_geometry()
    done = Refined(result, last, files, certificates, number, settled)
    ends = [""] if len(files) == 1 else [f" {d + 1}" for d in range(len(files))]
    rows: dict[str, object] = {f"Parameters{end}": file for end, file in zip(ends, files, strict=True)}
    rows["Page"] = last[0].geometry_page
    if not runs:
        again = f"ff-midas -resultFolder {layers[0].folder} -reprocess 1"
        rows["Next"] = f"run ff-midas with {files[0]}, or {again}: the sigmas of the grains with those of the geometry"
    return StageResult("geometry", rows, done)


#: how the sentence about the mean height begins
HEIGHT = "BCz cannot be told from the height"
#: passes of the stages that the driver makes, at most
_PASSES = 3


def of_driver(
    layer: Layer, parameter_file: Path | None, threads: int, per_spot_groups: int
) -> StageResult[Path | None]:
    """The loop for a layer that the driver has just finished; its data is the new parameter file."""
    options = GeometryOptions(max_passes=_PASSES, threads=threads, parameter_file=parameter_file)
    found = run([layer], options, per_spot_groups=per_spot_groups)
    logging.getLogger("midas.stages").info("%s", found.data.text())
    summary = {"passes": found.data.passes, "grains": passes.grain_count(found.data.layers[0]), **found.summary}
    return StageResult(found.stage, summary, found.data.files[0])


def _arguments(options: GeometryOptions) -> dict[str, Any]:
    """Of the fit."""
    return {
        "refine": "auto" if options.refine == "auto" else words_of(options.refine, "-refine"),
        "fix": words_of(options.fix, "-fix"),
        "trust": options.trusted(),
        "z0": options.height(),
        "wedge_model": options.wedge_model or None,
        "share": words_of(options.share, "-share"),
        "iterations": options.iterations,
        "min_confidence": options.min_confidence,
        "force": options.force,
        "threads": thread_count(options.threads),
    }


def _until_settled(
    result: GeometryResult,
    layers: tuple[Layer, ...],
    parameters: Sequence[Parameters],
    options: GeometryOptions,
    per_spot_groups: int,
) -> tuple[GeometryResult, list[passes.AgainRun], int, bool]:
    """Stages and fits in turn; the result, the stages of the last pass, the number of passes, and how it ended."""
    threads, first = thread_count(options.threads), result
    grains = [passes.grain_count(layer) for layer in layers]
    for number in range(1, options.max_passes + 1):
        log.info("Pass %d: the stages behind the peak search run again in %s", number, layers[0].geometry_folder)
        runs = [
            passes.again(layer, outputs.keys_of(result, d, own), threads, per_spot_groups)
            for d, (layer, own) in enumerate(zip(layers, parameters, strict=True))
        ]
        last = tuple(one.layer for one in runs)
        now = [passes.grain_count(layer) for layer in last]
        found = _next(last, result, first.height, options)
        moved = [name for name in found.free if not _has_settled(found.number(name), result.number(name).value)]
        log.info("Pass %d: %s grains; %s", number, " and ".join(map(str, now)), _moved(moved))
        result = _joined(found, result)
        settled = not moved and now == grains
        if settled or number == options.max_passes:
            break
        grains = now
    for one in runs:
        one.finish()
    return _as_one(result, first), runs, number, settled


def _next(layers: tuple[Layer, ...], before: GeometryResult, height: float, options: GeometryOptions) -> GeometryResult:
    """The fit of a later pass: the numbers of the first one, which now start where it ended, at the same mean height.

    What a number starts from is no reason to keep it any more, nor are unseen spots predicted better than by itself.
    """
    words = dict.fromkeys(_word(name) for name in before.free)
    arguments = {**_arguments(options), "refine": tuple(words), "force": True, "keep_start": False, "z0": height}
    found = geometry_from_grains(layers, **arguments)
    if not (found.converged or options.force):
        raise StageError(f"no convergence in {options.iterations} iterations of a later pass")
    return found


def _word(name: str) -> str:
    """What a number is called in -refine."""
    plain = name.partition("[")[0]
    if plain.startswith(("dY", "dZ")):
        return "Panels"
    if plain.startswith("Wobble"):
        return "Wobble"
    return {"BCy": "BC", "BCz": "BC", "p1c": "p1", "p1s": "p1"}.get(plain, plain)


def _has_settled(number: Number, before: float) -> bool:
    return abs(number.value - before) < max(_SIGMAS * number.sigma, _PIXELS * number.pixel)


def _moved(names: Sequence[str]) -> str:
    return f"still moving: {', '.join(names)}" if names else "nothing moves any more"


def _joined(found: GeometryResult, earlier: GeometryResult) -> GeometryResult:
    """A later result with what an earlier one says of the numbers that it leaves alone."""
    known = {number.name: number for number in earlier.numbers}
    numbers = []
    for number in found.numbers:
        former = known.get(number.name)
        if former is not None and number.verdict == HELD and former.verdict in (KEPT, RAILED):
            number = replace(number, sigma=former.sigma, verdict=former.verdict)
        numbers.append(number)
    return replace(found, numbers=tuple(numbers))


def _as_one(last: GeometryResult, first: GeometryResult) -> GeometryResult:
    """The last result as if it had come from the start of the first one."""
    starts = {number.name: number.start for number in first.numbers}
    numbers = tuple(replace(number, start=starts.get(number.name, number.start)) for number in last.numbers)
    held, before = last.held_out, first.held_out
    figures = {name: getattr(held, name).copy() for name in ("radial", "tangential", "distance")}
    for name, both in figures.items():
        both[:, 0] = getattr(before, name)[:, 0]
    of_height = [text for text in first.sentences if text.startswith(HEIGHT)]
    return replace(
        last,
        numbers=numbers,
        starts=first.starts,
        sets=first.sets,
        held_out=replace(held, **figures, loss=(before.loss[0], held.loss[1])),
        sentences=(*of_height, *(text for text in last.sentences if not text.startswith(HEIGHT))),
    )


def _layer(folder: Path | Layer) -> Layer:
    """A finished layer, whose files are called after the raw file that it was made of."""
    layer = layer_of(folder)
    data_file = _parameters(layer).for_stage("commands")["dataFN"]
    return layer if layer is folder else replace(layer, data_file=data_file)


def _parameters(layer: Layer) -> Parameters:
    with Archive(str(layer.archive)) as archive:
        return archive.parameters.for_stage("geometry")


def _name(layer: Layer) -> str:
    folder = layer.folder.absolute()
    return f"{folder.parent.name}/{folder.name}" if folder.name == layer.geometry_folder.name else folder.name


def _files(layers: Sequence[Layer], options: GeometryOptions) -> tuple[Path, ...]:
    """The new parameter file of each layer; with one name for several, numbers behind it."""
    if options.output is None:
        named = options.parameter_file is not None
        places = [(layer.geometry_folder if options.max_passes else layer.folder, layer) for layer in layers]
        files = tuple(output_in(place, None if named else copy_in(layer)) for place, layer in places)
    else:
        name = options.output
        ends = ["", *(f"_{d + 1}" for d in range(1, len(layers)))]
        files = tuple(name.with_name(f"{name.stem}{end}{name.suffix}") for end in ends)
    for file in files:
        keep_inputs(file, options.parameter_file, *(layer.archive for layer in layers))
        if options.output is not None:
            check_output(file)
            if not file.parent.is_dir():
                raise UsageError("is in no folder that there is", key="-o", value=file)
    return files
