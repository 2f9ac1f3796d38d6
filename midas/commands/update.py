"""``ff-update``, ``updateZarrDset.py``: one value of an archive."""

from __future__ import annotations

import argparse
from pathlib import Path

from midas.commands.program import Program
from midas.runtime.errors import UsageError
from midas.runtime.options import Option
from midas.runtime.parallel import thread_count

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

    for change in update(archive, name, words):
        print(f"Initial value: {text_of(change.before)}" if change.before is not None else _NEW)
        print(f"Updated value: {change.path}:{text_of(change.after)}")
        print(change.after.shape)


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
            "dataset. A parameter gets the type and shape that readers expect, with the checks of a parameter file; "
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
            Option("-folder", "folder of the archive; by default the current one", str, ""),
        ),
        run=run,
    ),
)
