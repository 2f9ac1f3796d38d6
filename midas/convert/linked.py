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
from midas.formats.hdf5_links import names_others, opened, reached
from midas.parameters import Parameters
from midas.runtime import logs
from midas.runtime.apart import stream
from midas.runtime.errors import MidasError

_Look = Callable[[], object]

#: files that name no others where one has looked, as they were then: most do not, and a run asks several times
_alone: set[str] = set()
_MOST_KNOWN = 1000


def linked_files(role: str, files: list[Path], parameters: Parameters, options: ConversionOptions) -> list[Path]:
    """What the files of a role name, and these in turn, each once and without the files themselves.

    One process follows all of them. A file that makes the library crash is left for the conversion to tell.

    Parameters
    ----------
    role : of `files_of`
    """
    if role == "mask":  # no mask is read from HDF5
        return []
    jobs = {file: looks for n, file in enumerate(files) if (looks := _looks(role, n, file, parameters, options))}
    states = {file: repr((file, _state(file), role, looks)) for file, looks in jobs.items()}
    jobs = {file: looks for file, looks in jobs.items() if states[file] not in _alone}
    found: dict[Path, None] = {}
    if jobs:
        with suppress(MidasError):
            for file, named, alone in stream(partial(_followed, jobs, options.allow_links), next(iter(jobs))):
                found |= dict.fromkeys(named)
                if alone:
                    if len(_alone) >= _MOST_KNOWN:  # those of earlier layers are not asked for again
                        _alone.clear()
                    _alone.add(states[file])
    own = {file.resolve() for file in files}
    return [file for file in found if file not in own]


def _state(file: Path) -> tuple[int, ...]:
    """What changes when the file does."""
    state = file.stat()
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _looks(role: str, number: int, file: Path, parameters: Parameters, options: ConversionOptions) -> list[_Look]:
    """What the conversion reads of a file; nothing where the file cannot name others."""
    if not file.is_file() or decompressed.is_compressed(file):
        return []
    links = options.allow_links
    try:
        kind = format_of(file)
    except MidasError:
        return []
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


def _followed(jobs: dict[Path, list[_Look]], links: bool) -> Iterator[tuple[Path, list[Path], bool]]:
    """Each file, the files that it names and that may be read, and whether it names none at all."""
    for file, looks in jobs.items():
        named: list[Path] = []
        alone = False
        with logs.silent(), suppress(MidasError), opened(file, links):
            for look in looks:
                with suppress(MidasError):
                    look()
            named, alone = reached(), not names_others()
        yield file, named, alone
