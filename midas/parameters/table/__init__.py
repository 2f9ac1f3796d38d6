"""The one table of parameters: every key that any command reads, and the alias, type, range and default it has.

`midas.parameters` parses and checks with it, the archive is written and read with it, and docs/parameters.md is printed
from it (``python -m midas.parameters``). A group of keys is a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from midas.parameters.table import (
    calibration,
    datasets,
    geometry,
    grains,
    models,
    paramstest,
    peaks,
    scan,
    simulation,
)
from midas.parameters.table.key import FLOAT, INT, PATH, REQUIRED, TEXT, WORD, Key, Range, Value

__all__ = [
    "FLOAT", "FOREIGN_FLOATS", "FOREIGN_INTS", "FOREIGN_OTHERS", "FOREIGN_WORDS", "GROUPS", "INT", "KEYS", "PATH",
    "REQUIRED", "TEXT", "WORD", "Key", "Range", "Value", "spellings",
]  # fmt: skip

#: title and keys, in the order of the documentation and of what the setup hands on
GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = tuple(
    (module.TITLE, module.KEYS)
    for module in (geometry, scan, peaks, grains, models, calibration, datasets, paramstest, simulation)
)

KEYS: dict[str, Key] = {key.name: key for _, keys in GROUPS for key in keys}

#: Keys of other programs of the legacy suite, which an archive still records under a fixed dtype.
FOREIGN_FLOATS = frozenset(
    "RMin RMax OverArea IntensityThresh MinS_N YPixelSize ZPixelSize BeamStopY BeamStopZ DetDist MaxDev step "
    "FitWeightMean PixelSplittingRBin tolPanelFit RBinSize EtaMin EtaMax X Y Z U V W SHpL Polariz".split()
)
FOREIGN_INTS = frozenset("SumImages Normalize SaveIndividualFrames OmegaSumFrames".split())
FOREIGN_WORDS: frozenset[str] = frozenset()
#: Those that an archive records as they look, which the check of a parameter file says nothing about.
FOREIGN_OTHERS = frozenset(
    # calibration
    "BorderToExclude NPanels "
    # point focus and near field
    "nStepsToMerge ScanStep nDistances nLayers DataDirectory OutputDirectory OrigFileName ReducedFileName extOrig "
    "extReduced RawStartNr NrFilesPerDistance WFImages SeedOrientations NrOrientations GridSize EdgeLength GridMask "
    "GridRefactor BlanketSubtraction MedFiltRadius GaussFiltRadius LoGMaskRadius DoLoGFilter MinFracAccept OrientTol "
    "LsdTol LsdRelativeTol BCTol TiltsTol SaveNSolutions MicFileBinary MicFileText FullSeedFile Ice9Input "
    "NearestMisorientation WriteFinImage Deblur "
    # several datasets, HDF5 metadata, what paramstest.txt ends with
    "NumDetectors SeedFolder ParameterFile TrackGrains PressureDatasetPath TemperatureDatasetPath IDatasetPath "
    "I0DatasetPath LsdFit YBCFit ZBCFit tyFit tzFit".split()
)


@cache
def spellings(dialect: str) -> Mapping[str, Key]:
    """Every spelling that is understood in a kind of file, and the key it means."""
    names = dict(KEYS)
    for key in KEYS.values():
        for alias in (*key.aliases, *key.dialect_aliases.get(dialect, ())):
            names[alias] = key
    return MappingProxyType(names)
