"""The files in which raw HDF5 files have their data besides themselves (docs/reliability.md#resume).

Links and virtual datasets are followed as the conversion does it, so that what it would read belongs to what it
depends on, and nothing else; so what `-allowLinks` lets in makes another conversion of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from midas.convert import decompressed, settings
from midas.convert.options import ConversionOptions
from midas.convert.readers import HDF5, SPARSE_HDF5, format_of, hdf5, sparse_hdf5
from midas.formats.hdf5_links import opened, reached
from midas.parameters import Parameters
from midas.runtime import logs
from midas.runtime.apart import stream
from midas.runtime.errors import MidasError

_Look = Callable[[], object]


def linked_files(role: str, files: list[Path], parameters: Parameters, options: ConversionOptions) -> list[Path]:
    """What the files of a role name, and these in turn, each once and without the files themselves.

    One process follows all of them. A file that makes the library crash is left for the conversion to tell.

    Parameters
    ----------
    role : of `files_of`
    """
    if role == "mask":  # no mask is read from HDF5
        return []
    all_looks = (_looks(role, number, file, parameters, options) for number, file in enumerate(files))
    jobs = [(file, looks) for file, looks in zip(files, all_looks, strict=True) if looks]
    found: dict[Path, None] = {}
    if jobs:
        with suppress(MidasError):
            for named in stream(partial(_followed, jobs, options.allow_links), jobs[0][0]):
                found |= dict.fromkeys(named)
    own = {file.resolve() for file in files}
    return [file for file in found if file not in own]


def _looks(role: str, number: int, file: Path, parameters: Parameters, options: ConversionOptions) -> list[_Look]:
    """What the conversion reads of a file; nothing where the file cannot name others."""
    if not file.is_file() or decompressed.is_compressed(file):
        return []
    kind, links = format_of(file), options.allow_links
    if kind is SPARSE_HDF5:
        return [partial(sparse_hdf5.described_by, file, links)]
    if kind is not HDF5:
        return []
    reading = settings.reading_of(parameters, None, links)
    dark = replace(reading, location=parameters["darkLoc"])
    if role == "dark":
        return [partial(hdf5.look_into, file, [dark, replace(dark, location=PurePosixPath(dark.location).name)])]
    if role == "flood":
        return [partial(hdf5.look_into, file, [reading])]
    looks: list[_Look] = [partial(hdf5.look_into, file, [reading], settings.scan_values(parameters))]
    return looks if number or parameters["Dark"] else [*looks, partial(hdf5.look_into, file, [dark], optional=True)]


def _followed(jobs: list[tuple[Path, list[_Look]]], links: bool) -> Iterator[list[Path]]:
    for file, looks in jobs:
        named: list[Path] = []
        with logs.silent(), suppress(MidasError), opened(file, links):
            for look in looks:
                with suppress(MidasError):
                    look()
            named = reached()
        yield named
