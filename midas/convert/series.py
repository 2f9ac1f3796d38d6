"""Which of the files of a folder or a pattern are one scan, and whether it is whole.

See docs/theory/archive.md#names-of-a-scan.
"""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from midas.convert import decompressed
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: how the names of dark frames begin, in lower case
_DARK = "dark_"
#: the number of a file is the last one in the stem of its name
LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")
#: numbers that a message lists
_LISTED = 10


def whole_series(files: Sequence[Path], named: Path) -> list[Path]:
    """The files without dark frames.

    Parameters
    ----------
    files : in their order
    named : the folder or pattern

    Raises
    ------
    FormatError : numbers are missing between those of the names.
    """
    frames = [path for path in files if not path.name.lower().startswith(_DARK)]
    if frames and len(frames) < len(files):
        first = next(path.name for path in files if path not in frames)
        log.info(
            "%s: %d files are dark frames by their names (%s) and left out", named, len(files) - len(frames), first
        )
    for stem, numbers in _numbered(frames or files).items():
        _check_gaps(stem, sorted(set(numbers)), named)
    return frames or list(files)


def _numbered(files: Sequence[Path]) -> dict[str, list[int]]:
    """Name around the last number in it -> the numbers."""
    found = defaultdict(list)
    for path in files:
        stem = decompressed.plain(path).stem
        if number := LAST_NUMBER.search(stem):
            found[f"{stem[: number.start()]}*{stem[number.end() :]}{path.suffix}"].append(int(number[1]))
    return found


def _check_gaps(stem: str, numbers: Sequence[int], named: Path) -> None:
    """A constant step is a choice of the user; numbers that lie far apart (times, say) are no counting."""
    steps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    if not steps:
        return
    step = math.gcd(*steps)
    missing = (numbers[-1] - numbers[0]) // step + 1 - len(numbers)
    span = f"{numbers[0]} to {numbers[-1]}"
    if missing > len(numbers):
        log.warning("%s: the numbers of %s, %s, do not follow each other; is the scan complete?", named, stem, span)
    elif missing:
        absent = sorted(set(range(numbers[0], numbers[-1], step)) - set(numbers))
        listed = ", ".join(map(str, absent[:_LISTED])) + (" ..." if missing > _LISTED else "")
        reason = f"has {len(numbers)} files {stem} with the numbers {span}, without {listed}; the angles of the frames "
        reason += "would be wrong: find the missing files, or name those of one scan"
        raise FormatError(reason, file=named)
    elif step > 1:
        log.warning(
            "%s: the numbers of %s go up in steps of %d, %s; they are taken for the scan", named, stem, step, span
        )
