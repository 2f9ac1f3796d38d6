"""What a layer starts from: its folder, and its archive, converted now or taken as it is."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from midas.archive import Archive, set_dataset
from midas.formats.layer import Layer, archive_name, earlier_archive_name
from midas.parameters import ANALYSIS
from midas.pipeline import copies, parameter_check, resume
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan
from midas.pipeline.steps import Steps
from midas.runtime.errors import ArchiveError, FormatError, MidasError, ParameterError
from midas.runtime.files import read_bytes, remove, replace, write_atomic
from midas.runtime.named_paths import make_subfolder
from midas.runtime.part_files import sweep
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from midas.convert.options import ConversionOptions

log = logging.getLogger(__name__)


def check(options: Options, plans: list[LayerPlan]) -> None:
    """Every input that must exist does, of one layer at least; nothing has been written so far."""
    if options.grains_file is not None:
        read_bytes(options.grains_file, advice="it must be a Grains.csv")
    if options.spot_table:
        read_bytes(options.result_folder / Layer(Path()).extra_info.name, advice="-provideInputAll starts from it")
        parameter_check.check(options, plans[0])
        _check_needs_no_frames(options)
        return
    errors = []
    for plan in plans:
        try:
            archive = None
            if not options.convert:
                archive = existing_archive(options, plan)
            elif plan.data_file is not None and not _exists(plan.data_file):
                raise FormatError("raw data file is missing", file=plan.data_file)
            check_peaks(options, plan)
        except MidasError as error:
            errors.append(error)
            continue
        parameter_check.check(options, plan, archive, several=len(plans) > 1)
        _check_names(options, plans)
        return
    raise errors[0]


def _check_needs_no_frames(options: Options) -> None:
    """A spot table has no frames, on which spots could be measured, and no pixels, from which the geometry follows."""
    assert options.user_file is not None  # `Options.checked` sees to it
    own = options.user_file.parameters.for_stage("pull")
    if options.measure_spots is None and own["MeasureSpots"]:
        raise own.error("MeasureSpots", "does not go with -provideInputAll, which has no frames; leave it 0")
    if options.refine_geometry is None and options.user_file.own["RefineGeometry"]:
        reason = "does not go with -provideInputAll, which has no pixels; leave it 0"
        raise options.user_file.own.error("RefineGeometry", reason)


def _check_names(options: Options, plans: list[LayerPlan]) -> None:
    """The parameter file can name the raw files of the layers that have none from the user."""
    user_file = options.user_file
    if not options.convert or user_file is None or len(plans) == 1:
        return
    from midas.diagnosis.check.missing import RAW_FILES

    known = {*user_file.parameters, *user_file.settings(options)}
    for plan in plans:
        missing = [name for name in RAW_FILES if name not in {*known, *plan.settings}]
        if missing and plan.data_file is None and not user_file.raw_file(plan.number):
            are = "is missing: it is" if len(missing) == 1 else "are missing: they are"
            reason = f"{are} part of the name of the raw file of layer {plan.number}; -dataFN names that of layer 1"
            raise ParameterError(reason, file=user_file.path, key=" ".join(missing))


def check_peaks(options: Options, plan: LayerPlan) -> None:
    """The peaks that -doPeakSearch 0 goes on from are there, before a layer is touched."""
    if options.peak_search or options.spot_table:
        return
    layer = Layer(plan.folder, plan.folder / _archive_name(options, plan))
    if not layer.peaks(1).exists():
        reason = "is missing: -doPeakSearch 0 goes on from the peaks of this scan; search them first"
        raise FormatError(reason, file=layer.peaks(1))


def _archive_name(options: Options, plan: LayerPlan) -> str:
    """What the archive of a layer is called, or will be."""
    if not options.convert:
        return existing_archive(options, plan).name
    user_file = options.user_file
    assert user_file is not None  # `Options.checked` sees to it
    raw = os.fspath(plan.data_file or user_file.raw_file(plan.number))
    return archive_name(raw, plan.number) if raw else user_file.archive_name(plan.number, plan.settings)


def _exists(path: Path) -> bool:
    """Whether a raw scan is there: a file, a folder, or files that fit a pattern."""
    if path.is_file():
        return True
    from midas.convert import sweep  # only here: a name that is a file needs no readers of raw files

    return sweep.exists(path)


def existing_archive(options: Options, plan: LayerPlan) -> Path:
    """The archive of a layer: in its folder under any name that it can have, else where the user says.

    What was named is an archive, or the raw file that one was made of.
    """
    named, user_file = plan.data_file, options.user_file
    if named is not None and named.suffix == ".zip":
        path = plan.folder / named.name
        if not (path.exists() or named.exists()):
            raise ArchiveError(f"is missing, and there is no {path}", file=named)
        return copies.choose(named, path) if named.exists() else path
    raw = os.fspath(named or (user_file.raw_file(plan.number) if user_file is not None else ""))
    names = copies.names(raw, plan.number) if raw else []
    if not raw and user_file is not None:
        present = sorted(plan.folder.glob("*.MIDAS.zip"))
        if len(present) == 1 and "FileStem" not in {*user_file.parameters, *plan.settings}:
            return present[0]  # of a raw file that was named on the command line
        names = [user_file.archive_name(plan.number, plan.settings)]
    found = next((plan.folder / name for name in names if (plan.folder / name).exists()), None)
    if found is None:
        advice = "run with -convertFiles 1, or name the archive with -dataFN"
        raise ArchiveError(f"is missing; {advice}", file=plan.folder / names[0])
    return found


def prepare_folder(options: Options, plan: LayerPlan) -> None:
    """The layer folder; results of an earlier run must not look like those of a run that failed."""
    check_peaks(options, plan)
    layer = Layer(plan.folder)
    for folder in (layer.logs, layer.output, layer.temp, layer.results):
        make_subfolder(folder)
    sweep(layer.folder, layer.logs, layer.output, layer.temp, layer.results)
    link = layer.folder / "output"
    if not link.exists() and not link.is_symlink():  # on a case-insensitive file system it is Output/
        try:
            link.symlink_to(layer.logs.name)
        except OSError as error:
            log.warning("%s: no link to %s (%s)", link, layer.logs.name, error.strerror)
    remove(layer.run_record)
    if not options.resumes:
        remove_results(layer, grains=True, page=True)
    user_file = options.user_file
    if user_file is None:
        return
    changes = {**plan.settings, **user_file.settings(options)}
    if user_file.own.get("ResultFolder", ""):
        changes["ResultFolder"] = f"{layer.folder}/"
    write_atomic(layer.folder / user_file.path.name, user_file.with_settings(changes))
    user_file.copy_panel_shifts(layer.folder)


def remove_results(layer: Layer, *, grains: bool, page: bool) -> None:
    """Leave no results that this run makes anew: they would look like its own if it failed.

    Parameters
    ----------
    grains : with the file of all results. Where only what is added to the grains is new, that file stays until it is
        written again, since the group of the geometry is handed on.
    page : the page about the grains
    """
    if grains:
        remove(*layer.grain_results, *layer.folder.glob("*_consolidated.h5"))
    if page:
        remove(*(path for ending in ("html", "png") for path in layer.folder.glob(f"*_report.{ending}")))


def prepare_archive(options: Options, plan: LayerPlan, steps: Steps) -> Path:
    """Convert the raw scan, or take the archive that is there; either way it names the layer's folder."""
    fresh = False
    if options.convert:
        path = _converted(options, plan, steps)
    else:
        path, fresh = _copied(options, plan)
    user_file = options.user_file
    if user_file is not None and not options.convert:
        with Archive(path) as archive:
            differing = user_file.differences(archive.parameters)
        if differing:
            names = ", ".join(differing)
            log.warning("%s: other values than in %s, which count: %s", user_file.path, path.name, names)
    folder = np.array([os.fsencode(f"{plan.folder}/")])
    # A whole copy would have to reach the disk with it.
    set_dataset(path, ANALYSIS + "ResultFolder", folder, durable=not fresh)
    return path


def conversion_options(options: Options, plan: LayerPlan) -> ConversionOptions:
    """What the conversion of a layer is asked for."""
    from midas.convert.options import ConversionOptions

    original = options.parameter_file
    assert original is not None  # `Options.checked` sees to it
    raw = os.fspath(plan.data_file or "")
    return ConversionOptions(
        parameter_file=plan.folder / original.name,
        result_folder=plan.folder,
        data_file=raw,
        frame_chunks=options.frame_chunks,
        threshold=options.threshold,
        layer=plan.number,
        any_layer=bool(raw),
        allow_links=options.allow_links,
        original=original,
    )


def _converted(options: Options, plan: LayerPlan, steps: Steps) -> Path:
    from midas.convert import conversion

    asked = conversion_options(options, plan)
    assert asked.original is not None
    relative_to, raw = asked.original.parent, asked.data_file

    def convert() -> StageResult[Path]:
        result = conversion.run(asked, threads=options.thread_count, relative_to=relative_to, resume=options.resumes)
        return StageResult(result.stage, {**result.summary, "OutputZipName": result.data}, result.data)

    path = plan.folder / _archive_name(options, plan)
    kept = resume.conversion_kept(options, plan.folder, path, asked, relative_to)
    if kept is not None:
        steps.kept = {"ZipOut": kept}
        steps.keeps("ZipOut")
        if conversion.refresh(asked, path, threads=options.thread_count, relative_to=relative_to):
            log.info("%s has the parameters of %s now; its frames are kept", path, asked.original)
    else:
        path = steps.alone("ZipOut", convert)
    log.info("[ZIP] OutputZipName: %s", path)
    earlier = plan.folder / earlier_archive_name(raw) if raw else path
    if earlier != path and earlier.exists():  # of the same scan, under the name of earlier versions
        replace(earlier, earlier.with_name(f"{earlier.name}.old"))
    return path


def _copied(options: Options, plan: LayerPlan) -> tuple[Path, bool]:
    """The existing archive, in the layer folder, and whether it was copied; the user's own stays as it is."""
    given = existing_archive(options, plan)
    path = plan.folder / given.name
    if path == given:
        if plan.data_file is not None:
            copies.say_difference(plan.data_file, path)
        copies.instead_of_link(path)
        log.info("Using %s", path)
        return path, False
    with Archive(given):  # an unreadable archive is not worth a copy
        log.info("Copying %s into %s", given, path.parent)
    copies.copy(given, path)
    return path, True
