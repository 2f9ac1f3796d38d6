"""Grain tables: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv`` (spec chapter 07 §5.1-5.3)."""

from __future__ import annotations

from midas.formats.table import Layout, fixed, integer

_MATRIX = " ".join(f"{{0}}{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))
_NAMES = (
    f"{_MATRIX.format('O')} X Y Z a b c alpha beta gamma DiffPos DiffOme DiffAngle GrainRadius Confidence "
    f"{_MATRIX.format('eFab')} {_MATRIX.format('eKen')} RMSErrorStrain PhaseNr Eul0 Eul1 Eul2"
)

#: names as in the file; nine header lines, of which the first eight hold values
GRAINS = Layout(
    header="\n" * 8 + "%GrainID\t" + "\t".join(_NAMES.split()),
    columns=(integer("GrainID"), *fixed(_NAMES)),
    separator="\t",
    trailing=True,
    written_by="ff-grains",
)

SPOT_MATRIX = Layout(
    header="%GrainID\tSpotID\tOmega\tDetectorHor\tDetectorVert\tOmeRaw\tEta\tRingNr\tYLab\tZLab\tTheta\tStrainError",
    columns=(
        *map(integer, ["GrainID", "SpotID"]),
        *fixed("Omega DetectorHor DetectorVert OmeRaw Eta"),
        integer("RingNr"),
        *fixed("YLab ZLab Theta StrainError"),
    ),
    separator="\t",
    trailing=True,
    written_by="ff-grains",
)
