"""The archive in a layer folder and the one that the user names: which of them counts."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from midas.archive import DATA, Archive
from midas.formats.layer import archive_name, earlier_archive_name
from midas.parameters import ANALYSIS
from midas.runtime.copying import copy_content
from midas.runtime.files import atomic_output

log = logging.getLogger(__name__)

#: members that the pipeline itself writes into its copy
_OWN = (f"{ANALYSIS}ResultFolder/", "analysis/provenance/")


def names(raw_file: str, layer: int) -> list[str]:
    """What the archive of a raw file can be called: now, and by earlier versions."""
    return [archive_name(raw_file, layer), earlier_archive_name(raw_file)]


def choose(named: Path, copy: Path) -> Path:
    """The copy of an earlier run, unless the archive that the user names has changed since."""
    if not copy.exists():
        return named
    if named.samefile(copy) or _alike(named, copy):
        return copy
    return named if named.stat().st_mtime_ns > copy.stat().st_mtime_ns else copy


def say_difference(named: Path, copy: Path) -> None:
    """A warning when the copy counts although the archive that the user names is another one."""
    if named.suffix == ".zip" and named.exists() and not (named.samefile(copy) or _alike(named, copy)):
        log.warning(
            "%s was changed after it was copied from %s, which is older and not used; remove the copy to start afresh",
            *(copy, named),
        )


def copy(source: Path, target: Path) -> None:
    """Copy an archive; a different one that stands there is kept as ``<name>.old``."""
    if target.exists():
        reason = "is newer than the copy of an earlier run and replaces it; the old one is"
        log.warning("%s %s %s.old", source, reason, target.name)
        if not _alike(source, target, f"{DATA}/"):
            log.warning("%s has other frames: peaks in %s are those of the old archive", source, target.parent / "Temp")
    with atomic_output(target, keep_old=True) as copied, open(source, "rb") as stream:
        copy_content(stream, copied)


def instead_of_link(archive: Path) -> None:
    """Put a copy in the place of a link: what the pipeline writes into the archive of a layer goes nowhere else."""
    if not archive.is_symlink():
        return
    log.warning("%s is a link to %s, which stays as it is: a copy takes its place", archive, os.path.realpath(archive))
    with atomic_output(archive) as copied, open(archive, "rb") as stream:
        copy_content(stream, copied)


def _alike(first: Path, second: Path, prefix: str = "") -> bool:
    """Whether two archives hold the same, or the same under a name, whatever the pipeline has added."""
    contents = []
    for path in (first, second):
        with Archive(path) as archive:
            sums = archive.checksums()
        contents.append({k: v for k, v in sums.items() if k.startswith(prefix) and not k.startswith(_OWN)})
    return contents[0] == contents[1]
