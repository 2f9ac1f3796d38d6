"""What a layer starts from: its folder, and its archive, converted now or taken as it is."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np

from midas.archive import Archive, set_dataset
from midas.formats.layer import Layer
from midas.parameters import ANALYSIS
from midas.pipeline import parameter_check
from midas.pipeline.options import Options
from midas.pipeline.steps import Steps
from midas.runtime.errors import ArchiveError, FormatError, UsageError
from midas.runtime.files import atomic_output, make_folder, read_bytes, remove, write_atomic
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)


def check(options: Options) -> None:
    """Every input that must exist does; nothing has been written so far."""
    if options.grains_file is not None:
        read_bytes(options.grains_file, advice="it must be a Grains.csv")
    if not options.convert:
        archives = [existing_archive(options, number) for number in options.layers]
        parameter_check.check(options, archives[0])
    else:
        if options.data_file and 1 in options.layers and not options.data_file.is_file():
            raise FormatError("raw data file is missing", file=options.data_file)
        parameter_check.check(options)
    if options.user_file is not None:
        options.user_file.parameters  # noqa: B018 - readable, or an error now


def existing_archive(options: Options, number: int) -> Path:
    """The archive of a layer: in its folder, else where the user says."""
    folder = options.folder(number)
    if options.data_file:
        path = folder / options.data_file.name
        if path.exists() or options.data_file.exists():
            return path if path.exists() else options.data_file
        raise ArchiveError(f"is missing, and there is no {path}", file=options.data_file)
    if options.user_file is None:
        raise UsageError("give -paramFN or -dataFN")
    path = folder / options.user_file.archive_name(number)
    if not path.exists():
        raise ArchiveError("is missing; run with -convertFiles 1, or name the archive with -dataFN", file=path)
    return path


def prepare_folder(options: Options, number: int) -> None:
    """The layer folder; results of an earlier run must not look like those of a run that failed."""
    layer = Layer(options.folder(number))
    for folder in (layer.logs, layer.output, layer.temp, layer.results):
        make_folder(folder)
    link = layer.folder / "output"
    if not link.exists() and not link.is_symlink():  # on a case-insensitive file system it is Output/
        try:
            link.symlink_to(layer.logs.name)
        except OSError as error:
            log.warning("%s: no link to %s (%s)", link, layer.logs.name, error.strerror)
    remove(layer.grains, layer.spot_matrix, layer.grain_ids_key, *layer.folder.glob("*_consolidated.h5"))
    user_file = options.user_file
    if user_file is None:
        return
    changes = user_file.settings(options.raw_folder, options.grains_file)
    write_atomic(layer.folder / user_file.path.name, user_file.with_settings(changes))
    user_file.copy_panel_shifts(layer.folder)


def prepare_archive(options: Options, number: int, steps: Steps) -> Path:
    """Convert the raw scan, or take the archive that is there; either way it names the layer's folder."""
    path = _converted(options, number, steps) if options.convert else _copied(options, number)
    user_file = options.user_file
    if user_file is not None and not options.convert:
        with Archive(path) as archive:
            differing = user_file.differences(archive.parameters)
        if differing:
            names = ", ".join(differing)
            log.warning("%s: other values than in %s, which count: %s", user_file.path, path.name, names)
    set_dataset(path, ANALYSIS + "ResultFolder", np.array([os.fsencode(f"{options.folder(number)}/")]))
    return path


def _converted(options: Options, number: int, steps: Steps) -> Path:
    from midas.convert import conversion
    from midas.convert.options import ConversionOptions

    original = options.parameter_file
    assert original is not None  # `Options.checked` sees to it

    def convert() -> StageResult[Path]:
        folder = options.folder(number)
        result = conversion.run(
            ConversionOptions(
                parameter_file=folder / original.name,
                result_folder=folder,
                data_file=os.fspath(options.data_file or ""),
                frame_chunks=options.frame_chunks,
                threshold=options.threshold,
                layer=number,
            ),
            threads=options.thread_count,
            relative_to=original.parent,
        )
        return StageResult(result.stage, {**result.summary, "OutputZipName": result.data}, result.data)

    path = steps.stage("ZipOut", convert).data
    log.info("[ZIP] OutputZipName: %s", path)
    return path


def _copied(options: Options, number: int) -> Path:
    """The existing archive, in the layer folder; the user's own stays as it is."""
    given = existing_archive(options, number)
    path = options.folder(number) / given.name
    if path == given:
        log.info("Using %s", path)
        return path
    with Archive(given):  # an unreadable archive is not worth a copy
        log.info("Copying %s into %s", given, path.parent)
    with atomic_output(path) as target, open(given, "rb") as source:
        shutil.copyfileobj(source, target, 1 << 24)
    return path
