"""The part of the scan and of the detector in which spots are accepted, as the user describes it.

See docs/theory/region.md#ranges-and-boxes-that-are-not-given.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas._ext.physics.region import AcceptedRegion
from midas.formats.binary import INT32, read_records
from midas.parameters import Parameters
from midas.runtime.errors import FormatError

#: what stands for a limit that is not given
ANY_OMEGA = (-180.0, 180.0)
ANY_BOX = (-1e9, 1e9, -1e9, 1e9)


def paired_limits(parameters: Parameters) -> Parameters:
    """The parameters with as many boxes as omega ranges.

    What is not given is no limit, a single row of one of the two holds for every row of the other.

    Raises
    ------
    ParameterError : for other unequal counts
    """
    ranges = parameters["OmegaRange"] or (ANY_OMEGA,)
    boxes = parameters["BoxSize"] or (ANY_BOX,)
    if len(ranges) != len(boxes) and 1 not in (len(ranges), len(boxes)):
        reason = f"has {len(boxes)} lines, but OmegaRange has {len(ranges)}; give one for each, or one for all"
        raise parameters.error("BoxSize", reason)
    rows = max(len(ranges), len(boxes))
    return parameters.changed(
        OmegaRange=ranges * rows if len(ranges) == 1 else ranges, BoxSize=boxes * rows if len(boxes) == 1 else boxes
    )


def accepted_region(parameters: Parameters, mask_file: Path | None = None, *, observed: bool = False) -> AcceptedRegion:
    """The region of the parameters.

    Parameters
    ----------
    mask_file : ``BigDetectorMask.bin``, read where `BigDetSize` is given; None: never
    observed : for spots as recorded: their omegas may be the exact upper end of a range, which then belongs to it

    Raises
    ------
    ParameterError, FormatError : for limits that do not pair up, and a mask that does not fit
    """
    limits = paired_limits(parameters)
    side = 0 if mask_file is None else parameters["BigDetSize"]
    px, mask = 1.0, None
    if side and mask_file is not None:
        px = parameters["px"]
        mask = read_records(mask_file, INT32, ())
        if 32 * len(mask) < side * side:
            raise FormatError(f"has {4 * len(mask)} bytes, too few for the pixels of BigDetSize {side}", file=mask_file)
    return AcceptedRegion(
        min_eta=parameters["MinEta"],
        ranges=np.array(limits["OmegaRange"], np.float64),
        boxes=np.array(limits["BoxSize"], np.float64),
        mask=mask,
        mask_side=side,
        px=px,
        closed_above=observed,
    )
