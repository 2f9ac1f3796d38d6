"""A raw scan with everything that belongs to it, opened as the parameters and options say.

See docs/theory/archive.md#conversion.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.archive import DARK, DATA, FLOOD, MASK, Archive, Pixel
from midas.archive.writer import Frame
from midas.convert import settings
from midas.convert.angles import Rotation, reconciled
from midas.convert.dark import Dark, find_dark
from midas.convert.flood import read_flood
from midas.convert.linked import linked_files
from midas.convert.mask import read_mask
from midas.convert.options import ConversionOptions
from midas.convert.readers.existing import ArchivedFrames
from midas.convert.source import UNKNOWN, Reading
from midas.convert.sweep import Sweep, raw_files, scan_names
from midas.parameters import Parameters
from midas.runtime import logs
from midas.runtime.files import located

log = logging.getLogger(__name__)


def files_of(options: ConversionOptions, relative_to: Path) -> dict[str, list[Path]]:
    """The files that a conversion reads: raw, dark, mask and flood, as far as there are any, and those that they name.

    HDF5 files have their data in others, too: where links may lead anywhere, these are among the files, else not.
    """
    parameters = settled_parameters(options)
    paths, _ = _raw_files(parameters, options, relative_to)
    dark = [file for name in parameters["Dark"] for file in raw_files(located(name, relative_to), 1)]
    single = {role: parameters.get(key, "") for role, key in (("mask", "MaskFN"), ("flood", "FloodFN"))}
    images = {role: [located(name, relative_to)] for role, name in single.items() if name}
    found = {"raw": paths, "dark": dark, **images}
    return {role: [*files, *linked_files(role, files, parameters, options)] for role, files in found.items() if files}


def settled_parameters(options: ConversionOptions) -> Parameters:
    """The parameters of a conversion with its options; the check before a run says more about repeated keys."""
    with logs.muted("midas.parameters.parser"):
        given = Parameters.read(options.parameter_file, known_as=options.original)
        return settings.settled(given.for_stage("convert"), options)


def _raw_files(parameters: Parameters, options: ConversionOptions, folder: Path) -> tuple[list[Path], str]:
    """The raw files of a scan, and the name of its archive."""
    first, name = scan_names(parameters, parameters["LayerNr"], any_layer=options.any_layer)
    return raw_files(located(first, folder), parameters["numFilesPerScan"], scan=True), name


@dataclass(frozen=True)
class RawScan:
    """The frames, and what belongs to them.

    Parameters
    ----------
    rotation : the settled parameters with the angles that count, and what there is to say about these
    sweep : the frames
    reading : how the files are read
    folder : where relative paths of the parameter file are also looked for
    archive_name : what the conversion calls the archive
    """

    rotation: Rotation
    sweep: Sweep
    reading: Reading
    folder: Path
    archive_name: str

    @classmethod
    def opened(cls, options: ConversionOptions, *, threads: int, relative_to: Path | None = None) -> RawScan:
        """The scan that options and parameter file name; nothing but headers is read.

        Parameters
        ----------
        relative_to : where relative paths are also looked for, after the current folder (default: beside the parameter
            file)
        """
        parameters = settled_parameters(options)
        folder = relative_to or options.parameter_file.absolute().parent
        paths, name = _raw_files(parameters, options, folder)
        scan = cls.of(
            paths, parameters, folder, archive_name=name, scratch=options.result_folder, threads=threads,
            links=options.allow_links,
        )  # fmt: skip
        for remark in scan.rotation.remarks:
            log.warning("%s: %s", parameters.source, remark)
        if scan.rotation.told is not None and "OmegaStep" not in parameters:
            start, step = scan.parameters["OmegaStart"], scan.parameters["OmegaStep"]
            log.info("%s: OmegaStart %g and OmegaStep %g are those of the raw file", parameters.source, start, step)
        return scan

    @classmethod
    def of(
        cls,
        paths: list[Path],
        parameters: Parameters,
        folder: Path,
        *,
        archive_name: str = "",
        scratch: Path | None = None,
        threads: int = 1,
        links: bool = False,
    ) -> RawScan:
        """The scan in some files, with settled parameters.

        Parameters
        ----------
        folder, archive_name : as of the scan
        scratch : folder for decompressed copies
        links : as of `Reading`
        """
        reading = settings.reading_of(parameters, scratch, links)
        sweep = Sweep(paths, reading, parameters["SkipFrame"], parameters["numFrameChunks"], threads)
        return cls(reconciled(parameters, sweep.omegas, sweep.misfit), sweep, reading, folder, archive_name)

    @classmethod
    def archived(cls, path: Path, *, threads: int) -> RawScan:
        """The scan in an archive, with the archive's own parameters."""
        with Archive(path) as archive:
            kept = archive.parameters.without("Dark", "MaskFN", "FloodFN")  # what they name is in the archive
            omegas = archive.omegas
        reading = Reading(DATA)
        parameters = kept.for_stage("convert").changed(dataLoc=DATA, darkLoc=DARK)
        sweep = Sweep([path], reading, parameters["SkipFrame"], threads=threads)
        return cls(Rotation(parameters, omegas, omegas), sweep, reading, path.parent, path.name)

    @property
    def parameters(self) -> Parameters:
        """Settled: with the options, and with the angles that count."""
        return self.rotation.parameters

    @property
    def omegas(self) -> NDArray[np.float64] | None:
        """(frames,) degrees at which each frame begins; None if neither parameters nor files tell."""
        listed = self.rotation.listed
        if listed is not None or "OmegaStep" not in self.parameters or not self.counted:
            return listed
        numbers = np.arange(self.shape[0]) - self.parameters["SkipFrame"]
        omegas: NDArray[np.float64] = self.parameters.omega_start() + numbers * self.parameters["OmegaStep"]
        return omegas

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows, columns; see `Sweep.shape`."""
        return self.sweep.shape

    @property
    def counted(self) -> bool:
        """Whether the number of frames is known before they are read."""
        return self.sweep.shape[0] != UNKNOWN

    @property
    def dtype(self) -> np.dtype[Pixel]:
        """Of the pixels."""
        return self.sweep.dtype

    def frames(self) -> Iterator[Frame]:
        """The frames, in order."""
        return self.sweep.frames()

    @cached_property
    def dark(self) -> Dark:
        """The dark frames, or the zeros in their place."""
        files = [located(file, self.folder) for file in self.parameters["Dark"]]
        reading = replace(self.reading, location=self.parameters["darkLoc"])
        first = self.sweep.sources[0]
        return Dark(find_dark(files, reading, first), first, self.parameters["SkipFrame"])

    def images(self) -> dict[str, NDArray[np.generic]]:
        """Mask and flood, by their names in the archive: of parameters, raw files, or an archive that is read again."""
        found: dict[str, NDArray[np.generic] | None] = {}
        first = self.sweep.sources[0]
        if isinstance(first, ArchivedFrames):
            found = {MASK: first.extra(MASK), FLOOD: first.extra(FLOOD)}
        if name := self.parameters.get("MaskFN", ""):
            found[MASK] = read_mask(located(name, self.folder), self.shape[1:], self.dtype)
        if name := self.parameters["FloodFN"]:
            found[FLOOD] = read_flood(located(name, self.folder), self.shape[1:], self.reading)
        masked = self.sweep.masked()
        if masked is not None and masked.any():
            count = np.count_nonzero(masked)
            log.info("%s: %d pixels are masked that the detector marks as gap or bad", first.path, count)
            given = found.get(MASK)
            either = masked if given is None else masked | (given != 0)
            found[MASK] = either.reshape(1, *masked.shape).astype(self.dtype)
        return {path: values for path, values in found.items() if values is not None}
