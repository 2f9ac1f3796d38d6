"""``ff-update``, ``updateZarrDset.py``: one value of an archive."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from midas.commands.program import Program
from midas.runtime.errors import MidasError, UsageError, printable
from midas.runtime.options import Option
from midas.runtime.parallel import thread_count

log = logging.getLogger(__name__)

_SHORT = 4
_NEW = "Key did not exist, will add to the file."


def run(values: argparse.Namespace) -> None:
    """Set one dataset, and say what it was and what it is."""
    for option in ("fn", "keyToUpdate", "updatedValue"):
        if not getattr(values, option):
            raise UsageError("is required", key=f"-{option}")
    folder = Path(values.folder)
    archive, name = folder / values.fn, values.keyToUpdate.lstrip("/")
    words = [word.strip() for word in values.updatedValue]
    from midas.convert.replacement import IMAGES

    if name in IMAGES:
        _replace_images(archive, name, words, folder)
        return
    from midas.archive.update import text_of, update

    _check(archive, name, words, values.new)
    for change in update(archive, name, words):
        print(f"Initial value: {printable(text_of(change.before))}" if change.before is not None else _NEW)
        print(f"Updated value: {change.path}:{printable(text_of(change.after))}")
        print(change.after.shape)


def _check(path: Path, name: str, words: list[str], is_new: bool) -> None:
    """Refuse what the check of a parameter file would, and a new dataset that looks like a slip of the pen."""
    from midas.archive import Archive
    from midas.archive.update import key_named, value_of
    from midas.diagnosis.check.single import of_value
    from midas.diagnosis.check.spelling import nearest
    from midas.parameters import Parameters

    key = key_named(name)
    with Archive(path) as archive:
        exists = archive.dataset(name) is not None or any(other.startswith(f"{name}/") for other in archive.datasets())
        try:
            parameters = archive.parameters
        except MidasError:  # damaged, which a new value may repair
            parameters = Parameters({})
    if key is not None:
        for finding in of_value(path, key.name, value_of(key, name, words), parameters):
            if finding.is_error:
                raise UsageError(finding.reason, file=path, key=name, value=" ".join(words))
            log.warning("%s", finding.text(path))
    elif not (exists or is_new):
        last = name.rpartition("/")[2]
        # Of a path, a short name of the user's own is like many others.
        near = nearest(last) if last == name or len(last) > _SHORT else None
        if near is not None or last == name:
            hint = "" if near is None else f"; did you mean {near}?"
            reason = f"is no parameter, and the archive has no such dataset{hint} (--new makes a new one)"
            raise UsageError(reason, file=path, key="-keyToUpdate", value=name)


def _replace_images(archive: Path, name: str, words: list[str], folder: Path) -> None:
    from midas.convert.replacement import replace_images

    if len(words) != 1:
        raise UsageError("needs one file", key=name, value=" ".join(words))
    file = Path(words[0]).expanduser()
    if not file.exists() and (folder / file).exists():
        file = folder / file
    shape = replace_images(archive, name, file, threads=thread_count(None))
    print(f"Updated value: {name}:{file}")
    print(shape)


PROGRAMS = (
    Program(
        names=("ff-update", "updateZarrDset.py"),
        does=(
            "Change one value of a .MIDAS.zip archive in place: a parameter of the analysis, another small dataset, or "
            "the frames, dark frames, mask or flood from a file. Frames that stay are not even read."
        ),
        uses=(
            "The key is the name of a parameter as in a parameter file (Lsd, BC, RingThresh ...), or the path of a "
            "dataset. A parameter gets the type and shape that readers expect, with the checks of ff-check; "
            "several values fill its rows. The stages that read the value must then run again."
        ),
        examples=(
            ("ff-update -fn scan.MIDAS.zip -keyToUpdate Lsd -updatedValue 900000", "a parameter"),
            ("ff-update -fn scan.MIDAS.zip -keyToUpdate RingThresh -updatedValue 1 80 2 60", "two rows"),
            ("ff-update -fn scan.MIDAS.zip -keyToUpdate exchange/mask -updatedValue mask.tif", "a mask"),
        ),
        options=(
            Option("-fn", "the archive", str, ""),
            Option("-keyToUpdate", "name of a parameter, or path of a dataset", str, ""),
            Option("-updatedValue", "new value or values; a file for exchange/data, dark, mask ...", str, None, "+"),
            Option("--new", "the dataset may be a new one, whatever its name is like", bool, False),
            Option("-folder", "folder of the archive; by default the current one", str, ""),
        ),
        run=run,
    ),
)
