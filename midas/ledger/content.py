"""What files hold, as the ledger compares it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from midas.formats.ledger import Stamp
from midas.parameters import SCAN
from midas.runtime import provenance
from midas.runtime.errors import MidasError

#: members of an archive that are parameters of the analysis, or results: each step names the parameters that it reads
_NO_FRAMES = ("analysis/", f"{SCAN}doPeakFit/")

#: stamps that hold as long as size and time of the files do, so that what one step writes the next need not read; by
#: the hash of names, sizes and times: the names themselves, thousands in a layer, would add up over the layers
_known: dict[bytes, Stamp] = {}
_MOST_KNOWN = 4096


def stamp(*paths: str | os.PathLike[str]) -> Stamp | None:
    """The stamp of a file, or of several that belong together; of an archive that of its frames and angles.

    Returns
    -------
    None if one of the files is missing, or cannot be read
    """
    files = [Path(path) for path in paths]
    try:
        states = [file.stat() for file in files]
    except OSError:
        return None
    named = [(os.fspath(f), s.st_size, s.st_mtime_ns) for f, s in zip(files, states, strict=True)]
    identity = hashlib.sha256(repr(named).encode()).digest()
    if identity not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        try:
            found = _of_archive(files[0]) if _is_archive(files) else provenance.fingerprint(*files)
        except (MidasError, OSError):
            return None
        changed = sum(state.st_mtime_ns for state in states)
        _known[identity] = Stamp(sum(s.st_size for s in states), changed, found.sha256, found.of, len(files))
    return _known[identity]


def stamp_of_start(path: str | os.PathLike[str], size: int) -> str:
    """The hash of the first bytes of a file, as `stamp` has it of a file that ends there; "" if it cannot be read."""
    try:
        return provenance.fingerprint(path, first=size).sha256
    except MidasError:
        return ""


def _is_archive(files: Sequence[Path]) -> bool:
    return len(files) == 1 and files[0].suffix == ".zip"


def _of_archive(path: Path) -> provenance.Fingerprint:
    """All but parameters and results, whatever the pipeline has added."""
    from midas.archive import Archive  # only here: most steps have no archive, and its codecs take time

    with Archive(path) as archive:
        sums = archive.checksums()
    return provenance.of_members(path, {name: crc for name, crc in sums.items() if not name.startswith(_NO_FRAMES)})
