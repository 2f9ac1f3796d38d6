"""Frames with too much above threshold to hold peaks: no dark, a threshold below the level of the frames, lit-up rings.

See docs/theory/peaks.md#crowded-frames.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas.runtime.errors import StageError

if TYPE_CHECKING:
    from midas._ext.peaks.frame_regions import Regions
    from midas.parameters import Parameters
    from midas.stages.peak_selection import Selection

log = logging.getLogger(__name__)

#: frames that are looked at before the search, spread evenly over the scan, and how many of them must be crowded to end
#: it. They are the same for every member of a run, so that all come to the same verdict.
LOOKED_AT = 8
ENOUGH = 3


def first_looks(count: int) -> list[int]:
    """The frames of a scan of `count` that are looked at before the search, in order."""
    return sorted(set(np.linspace(0, count - 1, LOOKED_AT).astype(int).tolist()))


class _Crowd(NamedTuple):
    """Of a frame: part of the ring pixels in regions that are no peaks (%), regions with too many maxima."""

    share: float
    cut: int


class Crowding:
    """Which frames are crowded.

    Parameters
    ----------
    force : whether the search goes on in any case
    """

    def __init__(self, settings: Parameters, selection: Selection, force: bool):
        self._settings = settings
        self._limit: float = settings["CrowdedShare"]
        self._selection = selection
        self._force = force
        self._crowded: dict[int, _Crowd] = {}

    def look(self, frame: int, regions: Regions) -> bool:
        """Whether a frame is crowded; it is remembered if so."""
        if not self.is_crowded(regions):
            return False
        self._crowded[frame] = _Crowd(self._share(regions), regions.cut)
        return True

    def is_crowded(self, regions: Regions) -> bool:
        """Whether a frame with these regions is crowded."""
        return self._share(regions) > self._limit or regions.cut > 0

    def _share(self, regions: Regions) -> float:
        return 100.0 * regions.unresolved / max(len(self._selection.positions), 1)

    def check(self, looks: Iterable[tuple[int, Regions]], pixels_of: Callable[[int], NDArray[Any]]) -> None:
        """Look at frames until enough of them are crowded.

        Parameters
        ----------
        pixels_of : the raw pixels of a frame

        Raises
        ------
        StageError : with what is known of them, unless the search is forced
        """
        found = []
        for frame, regions in looks:
            if self.look(frame, regions):
                found.append(frame)
            if len(found) == ENOUGH and not self._force:
                raise self._error(found, pixels_of(found[0]))

    def warn(self, own: range) -> None:
        """Say which frames of this member are crowded."""
        frames = [frame for frame in sorted(self._crowded) if frame in own]
        if frames:
            worst = max(frames, key=lambda frame: self._crowded[frame].share)
            log.warning(
                "%d of %d frames are crowded, their peaks are doubtful: %s; %s",
                len(frames), len(own), _listed(frames), self._numbers(worst),
            )  # fmt: skip

    def _numbers(self, frame: int) -> str:
        crowd = self._crowded[frame]
        limit = f"CrowdedShare {self._limit:g} %"
        numbers = f"{crowd.share:.1f} % of the ring pixels of frame {frame + 1} are above the threshold and "
        numbers += f"resolve into no peaks ({limit})"
        if crowd.cut:
            most = f"MaxNPeaks {self._settings['MaxNPeaks']}"
            numbers += f", {crowd.cut} of its regions {'has' if crowd.cut == 1 else 'have'} more than {most} maxima"
        return numbers

    def _error(self, frames: list[int], pixels: NDArray[Any]) -> StageError:
        thresholds = np.unique(self._selection.thresholds)
        limits = f"{thresholds[0]:g}" + (f" ... {thresholds[-1]:g}" if len(thresholds) > 1 else "")
        no_dark = "" if self._selection.dark.any() else ", the dark is missing"
        advice = "raise RingThresh" if self._selection.dark.any() else "give a dark or raise RingThresh"
        return StageError(
            f"frames {_listed(frames)} are crowded: {self._numbers(frames[0])}; threshold {limits}, median of the "
            f"frame {np.median(pixels):g}{no_dark}; {advice}, or go on with -force 1"
        )


def _listed(frames: list[int]) -> str:
    """The first few, counted from 1."""
    return ", ".join(str(frame + 1) for frame in frames[:5]) + (", ..." if len(frames) > 5 else "")
