"""Models and rules that the legacy programs did not have, in the order in which they are handed on."""

from midas.parameters.table.key import FLOAT, INT, NOT_NEGATIVE, POSITIVE, REQUIRED, WORD, Key, Range, flag

TITLE = "Models and rules beyond the legacy programs"

KEYS: tuple[Key, ...] = (
    flag("LegacyDigits", 0, "1: the methods of the legacy programs where no key of their own says otherwise, for their "
        "digits: reflections, peak search, ring test, refinement, simulation",
        choices=(0, 1), handed_on=True),
    Key("WedgeModel", WORD, "exact", "exact: rotation about the leaning axis; legacy: a change of omega only",
        choices=("exact", "legacy"), handed_on=True, legacy="legacy"),
    Key("TiltModel", WORD, "exact", "exact: a tilted detector stops each beam where it stands; legacy: spots of grains "
        "beside the origin are moved on the untilted plane",
        choices=("exact", "legacy"), handed_on=True, legacy="legacy"),
    Key("GrainMerging", WORD, "spots", "legacy: seeds that share spots; spots: each spot has an owner; mosaic: spots, "
        "then fragments of one crystal become one grain",
        choices=("legacy", "spots", "mosaic"), handed_on=True, legacy="legacy"),
    Key("OwnSigma", FLOAT, REQUIRED,
        "scale of a sharp match, on the detector and in omega; from the data by default",
        "µm, °", count=2, range=POSITIVE, handed_on=True),
    Key("OwnWindow", FLOAT, 3.5, "half axis of the window of a sharp match", "sigma", range=Range(0, 20, open=True),
        handed_on=True),
    Key("UniqueCompleteness", FLOAT, 0.25, "least part of its reflections that a grain must own alone",
        range=Range(0, 1), handed_on=True),
    Key("MinUniqueSpots", INT, 6, "least number of spots that a grain must own alone", range=NOT_NEGATIVE,
        handed_on=True),
    Key("MinSignificance", FLOAT, 3.0, "a grain below this significance is dropped; -1000 = never",
        handed_on=True),
    Key("FamilyAngle", FLOAT, 2.0, "grains closer than this to one with more spots share its FamilyID", "°",
        range=NOT_NEGATIVE, handed_on=True),
    Key("MosaicTolerance", FLOAT, 2.5, "half angle of the cone of fragments of one grain (mosaic)", "°",
        range=Range(0, 10, open=True), handed_on=True),
    Key("MosaicGap", FLOAT, 2.0, "fragments link in steps smaller than this, at most MosaicTolerance (mosaic)", "°",
        range=POSITIVE, handed_on=True),
    flag("MeasureSpots", 0, "1: measure the spots of the accepted grains on the frames, and refine the grains on them",
        choices=(0, 1), handed_on=True),
    Key("PullBox", FLOAT, REQUIRED, "half widths of the box of a measured spot: radial, along the ring, omega; from "
        "pixel, step and MarginOme by default", "µm, µm, °", count=3, range=POSITIVE, handed_on=True),
    Key("IndexPasses", INT, 3, "most passes of indexing, each on the spots that the last one left", range=Range(1),
        handed_on=True, legacy=1),
    flag("SkipExplainedSeeds", 1, "0: every seed is searched; 1: not those that a grain of another seed explains "
        "(GrainMerging spots)", choices=(0, 1), handed_on=True, legacy=0),
    Key("SpaceGroupSetting", WORD, "", "setting of the space group: P21/a, c1, R ...; what the cell tells by default",
        handed_on=True),
    flag("DetectorRegion", 1, "0: spots may be expected beside the detector and on its mask", choices=(0, 1),
        handed_on=True, legacy=0),
)  # fmt: skip
