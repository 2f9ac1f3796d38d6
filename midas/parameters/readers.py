"""Which keys each part of the suite reads, and the defaults that hold there only.

`Parameters.for_stage` gives a part its parameters and refuses every key that it does not declare here. So this list,
the column "read by" of docs/parameters.md and the driver's warning about differing values cannot be wrong. It stands
here and not in the stages because the documentation and the driver need it without their kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from midas.parameters.table import KEYS, Value


@dataclass(frozen=True)
class Reader:
    """One part of the suite.

    Parameters
    ----------
    keys : that it may read
    source : the file that its values come from
    of_archive : whether a run of the driver takes them from the archive
    defaults : that replace those of the table
    """

    keys: frozenset[str]
    source: str
    of_archive: bool = False
    defaults: Mapping[str, Value] = field(default_factory=dict)


def _reads(*keys: str) -> frozenset[str]:
    return frozenset(" ".join(keys).split())


# What several parts read through a function that they share
_DETECTOR = "Lsd BC px RhoD tx ty tz p0 p1 p2 p3"  # where the detector stands, and its distortion
_PANELS = "NPanelsY NPanelsZ PanelSizeY PanelSizeZ PanelGapsY PanelGapsZ PanelShiftsFile"  # experiment.panels
_REFLECTIONS = "Lsd RhoD Wavelength LatticeParameter SpaceGroup SpaceGroupSetting LegacyHKLList"  # experiment.crystal
_RINGS = f"{_DETECTOR} RingThresh Width WidthTthPx LegacyDigits"  # experiment.rings
_WEDGE = "Wedge WedgeModel"  # how the rotation axis leans
_SURFACE = "tx ty tz TiltModel"  # where a tilted detector stops a beam
_REGION = "OmegaRange BoxSize MinEta DetectorRegion"  # where spots are accepted

_ARCHIVE, _PARAMSTEST, _PARAMETER_FILE = "archive", "paramstest.txt", "parameter file"

READERS: dict[str, Reader] = {
    "convert": Reader(
        _reads(
            "RawFolder FileStem Ext StartFileNrFirstLayer NrFilesPerSweep numFilesPerScan Padding LayerNr dataFN",
            "dataLoc omegaLoc ScanNumber ThresholdChannel Dark darkLoc MaskFN FloodFN HeadSize PixelValue RawPixelType",
            "OmegaMotor SkipFrame numFrameChunks preProcThresh EndNr ResultFolder",
            "OmegaStart OmegaFirstFile OmegaStep NrPixels NrPixelsY NrPixelsZ",
        ),
        _PARAMETER_FILE,
    ),
    "check": Reader(_reads("EndNr"), _PARAMETER_FILE),
    "look": Reader(
        _reads(
            _DETECTOR, _REFLECTIONS, _WEDGE, _SURFACE,
            "RingThresh Width SkipFrame ImTransOpt UpperBoundThreshold BadPxIntensity GapIntensity",
        ),
        "parameter file or archive",
        defaults={"Width": 1000.0},
    ),
    "calibrate": Reader(
        _reads(
            _DETECTOR, _PANELS,
            "Wavelength LatticeParameter SpaceGroup SpaceGroupSetting LegacyHKLList Calibrant CalibEngine CalibFit",
            "CalibFloor CalibReport CalibRingsToExclude Folder FileStem Padding Ext StartNr EndNr DataType HeadSize",
            "RawPixelType PixelValue Dark dataLoc darkLoc ScanNumber ThresholdChannel SkipFrame ImTransOpt NrPixels",
            "NrPixelsY NrPixelsZ Width EtaBinSize MaskFN GapFile BadPxFile FloodFN GapIntensity BadPxIntensity",
            "UpperBoundThreshold tolLsd tolBC tolTilts tolP tolP0 tolP1 tolP2 tolShifts tolRotation MultFactor",
            "OutlierIterations NormalizeRingWeights WeightByRadius WeightByFitSNR L2Objective FixPanelID",
            "MinIndicesForFit p4",
        ),
        "parameter file of a calibration",
        defaults={"EtaBinSize": 2.0},
    ),
    "hkls": Reader(_reads(_REFLECTIONS, "LegacyDigits"), _ARCHIVE, of_archive=True),
    "peaks": Reader(
        _reads(
            _DETECTOR, _PANELS,
            "RingThresh Width SkipFrame ImTransOpt BadPxIntensity GapIntensity UpperBoundThreshold DoFullImage",
            "doPeakFit PeakFitMethod PeakWeights PeakCentre MinNrPx MaxNrPx MaxNPeaks MaxPeaksPerFit",
            "MinPeakSignificance CrowdedShare ReferenceRingCurrent LegacyDigits",
        ),
        _ARCHIVE,
        of_archive=True,
        defaults={"Lsd": 1e6, "BC": (1024.0, 1024.0), "px": 200.0, "RhoD": 409600.0, "Width": 1000.0},
    ),
    "merge": Reader(
        _reads("SkipFrame OverlapLength ChainValley UseMaximaPositions UsePixelOverlap LegacyDigits"),
        _ARCHIVE,
        of_archive=True,
    ),
    "radius": Reader(
        _reads(_RINGS, "SkipFrame OmegaStep Wavelength Rsample Hbeam Vsample DiscModel DiscArea"),
        _ARCHIVE,
        of_archive=True,
    ),
    "fit_setup": Reader(
        _reads(
            _DETECTOR, _REGION, _WEDGE, _SURFACE,
            "RingThresh Width WidthTthPx SkipFrame ImTransOpt MaxNFrames tInt tGap OmegaStep DoFit tolTilts tolBC",
            "tolLsd Wavelength OverAllRingToIndex MinOmeSpotIDsToIndex MaxOmeSpotIDsToIndex",
            # and what it hands on to the stages after it
            "LatticeParameter SpaceGroup Rsample Hbeam BeamThickness StepSizePos StepSizeOrient MarginRadius",
            "MarginRadial MarginEta MarginOme MargABC MargABG OmeBinSize EtaBinSize UseFriedelPairs Completeness",
            *(name for name, key in KEYS.items() if key.handed_on),
        ),
        _ARCHIVE,
        of_archive=True,
        defaults={"SpaceGroup": 225},
    ),
    "binning": Reader(
        _reads(
            "RingNumbers RingRadii EtaBinSize OmeBinSize MarginEta MarginOme StepSizeOrient WriteLegacyBins NoSaveAll",
            "LegacyDigits",
        ),
        _PARAMSTEST,
    ),
    "indexing": Reader(
        _reads(
            _REGION, _WEDGE, _SURFACE,
            "RingNumbers RingRadii RingsToExcludeFraction SpaceGroup SpaceGroupSetting LatticeParameter Lsd Rsample",
            "Hbeam StepSizePos StepSizeOrient OmeBinSize EtaBinSize MarginRadius MarginRadial MarginEta MarginOme",
            "Completeness UseFriedelPairs GrainsFile BigDetSize px LegacyDigits SkipExplainedSeeds GrainMerging",
            "OwnSigma OwnWindow MinUniqueSpots OmegaStep",
        ),
        _PARAMSTEST,
    ),
    "refinement": Reader(
        _reads(
            _REGION, _WEDGE, _SURFACE,
            "RingNumbers RingsToReject RhoD Lsd Wavelength LatticeParameter MargABC MargABG Rsample Hbeam",
            "RefineMethod TakeGrainMax GrainsFile BigDetSize px LegacyDigits",
        ),
        _PARAMSTEST,
        defaults={"MargABC": 0.3, "MargABG": 0.3},
    ),
    "grains": Reader(
        _reads(
            "Lsd Wavelength LatticeParameter SpaceGroup SpaceGroupSetting GrainMerging MinNrSpots Twins NumPhases",
            "PhaseNr BeamThickness GlobalPosition OmegaStep OwnSigma OwnWindow UniqueCompleteness MinUniqueSpots",
            "MinSignificance FamilyAngle MosaicTolerance MosaicGap RefineMethod SkipExplainedSeeds px LegacyDigits",
        ),
        _ARCHIVE,
        of_archive=True,
        defaults={"SpaceGroup": 225},
    ),
    "pull": Reader(
        _reads(
            _DETECTOR, _PANELS, _REGION, _WEDGE, _SURFACE,
            "MeasureSpots PullBox GrainMerging MosaicTolerance MarginOme RingNumbers BigDetSize Wavelength",
            "LatticeParameter SkipFrame ImTransOpt ReferenceRingCurrent BadPxIntensity GapIntensity",
            "UpperBoundThreshold OmegaStep tInt tGap LegacyDigits",
        ),
        "archive, paramstest.txt",
        of_archive=True,
    ),
    "sigma": Reader(
        _reads(
            _DETECTOR, _WEDGE, _SURFACE,
            "Wavelength SkipFrame SigmaFloor GrainMerging GrainsFile RefineMethod Rsample",
        ),
        "archive, paramstest.txt",
        of_archive=True,
        # Only the derivatives by the geometry depend on these.
        defaults={"BC": (1024.0, 1024.0), "px": 200.0, "RhoD": 409600.0},
    ),
    "geometry": Reader(
        _reads(
            _DETECTOR, _PANELS, _WEDGE, _SURFACE,
            "Wavelength LatticeParameter SpaceGroup OmegaStep SkipFrame DoFit TrustLattice SigmaFloor",
        ),
        _ARCHIVE,
        of_archive=True,
    ),
    "diagnosis": Reader(
        _reads(
            _DETECTOR, _WEDGE, _SURFACE,
            "RingThresh Width SkipFrame ImTransOpt OmegaStep Wavelength LatticeParameter SpaceGroup",
            "OverAllRingToIndex MinOmeSpotIDsToIndex MaxOmeSpotIDsToIndex MinNrSpots MinNrPx MaxNrPx",
            "UpperBoundThreshold BadPxIntensity GapIntensity LegacyDigits",
            # and of paramstest.txt; more is read for the indexing, which it calls
            "RingNumbers RingRadii RingsToExcludeFraction BoxSize MinEta Completeness UseFriedelPairs Rsample Hbeam",
            "StepSizePos MarginOme MarginRadius MarginRadial MarginEta",
        ),
        "archive, paramstest.txt",
        defaults={"SpaceGroup": 225},
    ),
    "results": Reader(_reads(_RINGS, "SkipFrame GrainMerging"), _ARCHIVE, of_archive=True),
    "export": Reader(_reads(_DETECTOR, _WEDGE, _SURFACE, "Wavelength"), _ARCHIVE),
    "evidence": Reader(
        _reads(
            _DETECTOR, _PANELS, _REGION, _WEDGE, _SURFACE,
            "RingNumbers BigDetSize Wavelength MarginRadial MarginEta MarginOme SkipFrame ImTransOpt",
            "ReferenceRingCurrent BadPxIntensity GapIntensity OmegaStep tInt tGap",
        ),
        "archive, paramstest.txt",
    ),
    "simulation": Reader(
        _reads(
            _DETECTOR, _PANELS, _REFLECTIONS, _WEDGE, _SURFACE,
            "RingThresh NrPixels NrPixelsY NrPixelsZ OmegaStart OmegaEnd OmegaStep InFileName OutFileName",
            "IntensitiesFile GaussWidth PeakIntensity EResolution nScans BeamSize WriteSpots WriteImage IsBinary",
            "MinConfidence OmegaSpread IntensityByVolume Lorentz ScaleMax Background Noise DarkFrames DarkLevel",
            "DarkNoise RandomSeed PixelIntegration LegacyDistortionMap WriteAnalysisZip SpotTruthMerged",
        ),
        _PARAMETER_FILE,
    ),
    "pipeline": Reader(
        _reads(
            _WEDGE,
            "ResultFolder GrainsFile Dark PanelShiftsFile RingsToExcludeFraction dataFN RawFolder Ext Padding",
            "StartFileNrFirstLayer NrFilesPerSweep RingThresh OverAllRingToIndex MinOmeSpotIDsToIndex",
            "MaxOmeSpotIDsToIndex OmegaRange WriteLegacyBins RingNumbers GrainMerging IndexPasses",
            "Completeness UniqueCompleteness RefineGeometry",
        ),
        _PARAMETER_FILE,
    ),
    "commands": Reader(_reads("ResultFolder OutputFolder dataFN"), "archive or paramstest.txt"),
}  # fmt: skip


def readers_of(key: str) -> list[str]:
    """The parts that read a key."""
    return [name for name, reader in READERS.items() if key in reader.keys]


def read_from_archive(key: str) -> bool:
    """Whether a run of the driver takes the value from the archive."""
    return any(key in reader.keys for reader in READERS.values() if reader.of_archive)
