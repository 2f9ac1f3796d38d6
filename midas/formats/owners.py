"""``SpotOwners.csv``: the grain of every spot (docs/theory/grains.md)."""

from midas.formats.table import Layout, fixed, integer

SPOT_OWNERS = Layout(
    header="%SpotID\tRingNr\tGrainID\th\tk\tl\tBranch\tDistance\tSecondGrainID\tSecondDistance\tShared",
    columns=(
        *map(integer, ["SpotID", "RingNr", "GrainID", "h", "k", "l", "Branch"]),
        *fixed("Distance"), integer("SecondGrainID"), *fixed("SecondDistance"), integer("Shared"),
    ),
    separator="\t",
    free=("Distance", "SecondDistance"),
)  # fmt: skip
