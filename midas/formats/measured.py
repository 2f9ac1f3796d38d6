"""``SpotsMeasured.csv``: the spots of grains as measured on the frames.

See docs/theory/measured_spots.md#table-of-measured-spots.
"""

from __future__ import annotations

from midas.formats.table import Layout, fixed, integer

#: values of the column Source
SUMMED, DEBLENDED = 0, 1

#: a grain with fewer of them keeps its solution: twelve numbers need four spots, and more must be left to show an error
FEWEST_SPOTS = 6

#: `YLab` and `ZLab` on the plane without tilt and distortion (µm), `Omega` as recorded (degrees)
SPOTS_MEASURED = Layout(
    header=(
        "%GrainID\th\tk\tl\tBranch\tRingNr\tYLab\tZLab\tOmega\tEta\tSum\tBackground\tnPixels\tnFrames\tSigmaR\tSigmaEta\t"
        "SigmaOme\tSaturated\tSpotID\tSource"
    ),
    columns=(
        *map(integer, ["GrainID", "h", "k", "l", "Branch", "RingNr"]),
        *fixed("YLab ZLab Omega Eta Sum Background"),
        *map(integer, ["nPixels", "nFrames"]),
        *fixed("SigmaR SigmaEta SigmaOme"),
        *map(integer, ["Saturated", "SpotID", "Source"]),
    ),
    separator="\t",
    written_by="ff-pull",
)
