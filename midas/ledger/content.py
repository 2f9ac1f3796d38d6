"""What files hold, as the ledger compares it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from midas.formats.ledger import Stamp
from midas.parameters import SCAN
from midas.runtime import provenance
from midas.runtime.errors import MidasError

#: members of an archive that are parameters of the analysis, or results: each step names the parameters that it reads
_NO_FRAMES = ("analysis/", f"{SCAN}doPeakFit/")

#: of more files than this together, names, sizes and times stand for the content: opening thousands takes long
_MOST_OPENED = 16
#: stamps that hold as long as the files are the same ones with the same size and time, so that what one step writes the
#: next need not read
_known: dict[str, Stamp] = {}
_MOST_KNOWN = 512


def stamp(*paths: str | os.PathLike[str]) -> Stamp | None:
    """The stamp of a file, or of several that belong together; of an archive that of its frames and angles.

    Returns
    -------
    None if there is no file, or one of them is missing or cannot be read
    """
    if not paths:
        return None
    try:
        states = [os.stat(path) for path in paths]
    except OSError:
        return None
    sizes, times = [state.st_size for state in states], [state.st_mtime_ns for state in states]
    if len(paths) > _MOST_OPENED:
        names = (os.path.basename(os.fspath(path)) for path in paths)
        lines = [f"{name} {size} {time}" for name, size, time in zip(names, sizes, times, strict=True)]
        return Stamp(sum(sizes), sum(times), provenance.hash_of_lines(lines), provenance.SAMPLES, len(paths))
    # A file that is replaced within a tick of the clock has the same time; the new one is another file.
    places = [(state.st_dev, state.st_ino) for state in states]
    identity = repr([tuple(one) for one in zip([os.fspath(path) for path in paths], sizes, times, places, strict=True)])
    if identity not in _known:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        files = [Path(path) for path in paths]
        try:
            found = _of_archive(files[0]) if _is_archive(files) else provenance.fingerprint(*files)
        except (MidasError, OSError):
            return None
        _known[identity] = Stamp(sum(sizes), sum(times), found.sha256, found.of, len(paths))
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
