"""Merged spots: ``Result_*.csv``, ``MergeMap.csv`` and ``MergeFlags.csv`` (docs/theory/merge.md#tables)."""

from __future__ import annotations

from midas.formats.table import Layout, fixed, integer

RESULT = Layout(
    header=(
        "SpotID IntegratedIntensity Omega(degrees) YCen(px) ZCen(px) IMax MinOme(degrees) MaxOme(degress) SigmaR "
        "SigmaEta NrPx NrPxTot Radius(px) Eta(degrees) RawSumIntensity"
    ),
    columns=(
        integer("spot_id"),
        *fixed(
            "intensity omega_recorded y_recorded z_recorded i_max min_omega max_omega sigma_r sigma_eta pixels "
            "region_pixels radius eta raw_sum"
        ),
    ),
    required=14,
    written_by="ff-merge",
    free=("i_max", "sigma_r", "sigma_eta", "raw_sum"),
)

#: spots with a saturated peak, ascending; the file is absent when there are none
MERGE_FLAGS = Layout(
    header="%MergedSpotID nFrames nSaturated nUnfitted",
    columns=tuple(map(integer, ["merged_id", "frames", "saturated", "unfitted"])),
    written_by="ff-merge",
)

MERGE_MAP = Layout(
    header="%MergedSpotID\tFrameNr\tPeakID",
    columns=tuple(map(integer, ["merged_id", "frame", "peak_id"])),
    separator="\t",
    written_by="ff-merge",
)
