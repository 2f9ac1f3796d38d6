"""How well the numbers of every grain are known (docs/theory/uncertainty.md)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.calibration.grains.cells import cell_response
from midas.calibration.grains.copies import copies
from midas.calibration.grains.covariance import GROUPS, Covariances, covariances, curvature_of
from midas.calibration.grains.fitted import FittedSpots, GrainStates, GrainTables, fitted_spots
from midas.calibration.grains.influence import NUMBERS, Noise
from midas.calibration.grains.layer import SigmaSettings, parameters_of, settings_of, tables_of
from midas.calibration.grains.model import GrainModel
from midas.calibration.grains.quality import with_sigmas
from midas.formats import uncertainty
from midas.formats.geometry import RefinedGeometry, read_geometry
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.formats.uncertainty import GrainSigmas, sigma_table
from midas.ledger.recorded import recorded
from midas.ledger.steps import SIGMA
from midas.parameters import Parameters
from midas.runtime.files import write_together
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)

Array = NDArray[np.float64]

#: fewer spots leave a grain's own scatter unknown
_FEWEST_USED = 12
#: a grain above it does not fit as well as the others
_LARGEST_CHI2 = 3.0
#: the components of the strain as the file has them, in the order of the covariance
_STRAIN_IN_FILE = [6, 11, 10, 7, 9, 8]


@dataclass(frozen=True)
class SigmaTables:
    """What the step writes: ``GrainsSigma.csv``, and ``GrainQuality.csv`` where it was there."""

    sigmas: GrainSigmas
    quality: Table | None


@recorded(SIGMA)
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int = 1,
    comm: Communicator = SERIAL,
    track: bool = False,
    tables: GrainTables | None = None,
    quality: Table | None = None,
) -> StageResult[SigmaTables]:
    """Write ``GrainsSigma.csv``, and its columns of ``GrainQuality.csv``, of a layer whose other grain tables stand.

    Parameters
    ----------
    parameters : of the archive, or of the parameter file that stands for it
    track : whether the grains are those of a run with seed grains; paramstest.txt may say so, too
    tables, quality : inputs in memory, else read from the layer's files

    Returns
    -------
    StageResult whose data is `SigmaTables`
    """
    if comm.rank:  # a matter of a second on one core
        return comm.broadcast(None)
    begin = time.perf_counter()
    tables = tables_of(layer, parameters) if tables is None else tables
    if quality is None and layer.grain_quality.exists():
        quality = GRAIN_QUALITY.read(layer.grain_quality)
    settings = settings_of(layer, parameters, track)
    sigmas = _sigmas(layer, settings, tables, read_geometry(layer), threads)
    contents = {}
    if quality is not None:
        quality = with_sigmas(quality, tables.grains, sigmas, settings.r_sample)
        contents[layer.grain_quality] = GRAIN_QUALITY.format(quality)
        quality = GRAIN_QUALITY.rounded(quality)
    text = sigmas.format()
    write_together(contents | {layer.grains_sigma: text})
    log.info("Time elapsed: %f s.", time.perf_counter() - begin)
    summary = {"grains": len(sigmas), "grains with sigmas": int((sigmas["Flag"] != uncertainty.SINGULAR).sum())}
    return comm.broadcast(StageResult("sigma", summary, SigmaTables(sigmas.rounded(text), quality)))


def check(layer: Layer, parameters: Parameters, *, track: bool = False) -> None:
    """Raise what `run` would raise for a parameter, before the stages in front of it have written anything."""
    settings_of(layer, parameters, track)


def sigma_of_grains(layer: Layer, *, threads: int = 1) -> GrainSigmas:
    """How well the numbers of the grains of a finished layer are known.

    Parameters
    ----------
    layer : with its archive, if it has one

    Returns
    -------
    GrainSigmas : with the numbers of ``GrainsSigma.csv`` before rounding, and all covariances

    Raises
    ------
    MidasError : one line that says which file is missing or does not belong to the others
    """
    parameters = parameters_of(layer)
    settings = settings_of(layer, parameters, False)
    return _sigmas(layer, settings, tables_of(layer, parameters), read_geometry(layer), threads)


def _sigmas(
    layer: Layer, settings: SigmaSettings, tables: GrainTables, geometry: RefinedGeometry | None, threads: int
) -> GrainSigmas:
    states = GrainStates.of(tables.grains)
    spots = fitted_spots(layer, tables, settings.detector, guided=settings.guided, combined=settings.combined)
    listed = np.diff(spots.offsets)
    model = GrainModel.of(spots, states, settings.detector, () if geometry is None else geometry.names)
    spots, residual = model.spots, model.residual
    repeated = copies(spots, tables.grains)
    counted = (spots.certainty == 1.0) & ~repeated[spots.grain]
    noise = Noise.of(residual, spots, counted, settings.detector.px, settings.floor)
    curvature = curvature_of(settings.loss, residual, spots, noise)
    found = covariances(curvature, model.jacobian, spots, len(model.parameters), threads)
    sigmas = _put_together(settings, tables, states, found, noise, geometry, model.parameters)
    _fill(sigmas.table, spots, residual, noise, listed, repeated)
    _report(sigmas)
    return sigmas


def _put_together(
    settings: SigmaSettings,
    tables: GrainTables,
    states: GrainStates,
    found: Covariances,
    noise: Noise,
    geometry: RefinedGeometry | None,
    parameters: tuple[str, ...],
) -> GrainSigmas:
    """The result but for what is counted."""
    factor = np.ones(NUMBERS)
    for group, honest in zip(GROUPS, found.honesty, strict=True):
        factor[group] = max(1.0, honest)
    own = found.own * np.outer(factor, factor)
    absolute, known = own, None if geometry is None else geometry.of(parameters)
    if known is not None:
        absolute = own + found.response @ known.covariance @ found.response.transpose(0, 2, 1)
    by_strain = cell_response(states.ub)
    cell = np.sqrt(np.einsum("nij,njk,nik->ni", by_strain, own[:, 6:, 6:], by_strain))
    sigma, absolute = (np.sqrt(np.diagonal(one, axis1=1, axis2=2)) for one in (own, absolute))
    columns = np.concatenate(
        [sigma[:, :6], cell, sigma[:, _STRAIN_IN_FILE], absolute[:, :3], absolute[:, 6:9], np.zeros((len(own), 4))], 1
    )
    sigmas = GrainSigmas(
        sigma_table(tables.grains["GrainID"], columns), own, found.honesty, *noise.classes,
        wedge_model="exact" if settings.detector.exact_wedge else "legacy",
    )  # fmt: skip
    if known is None:
        return sigmas
    return replace(sigmas, trust=known.trust, z0=known.z0, parameters=known.names, response=found.response)


def _fill(
    table: Table,
    spots: FittedSpots,
    residual: Array,
    noise: Noise,
    listed: NDArray[np.int64],
    repeated: NDArray[np.bool_],
) -> None:
    """What is counted: spots, those in use, chi squared, and the flag."""
    grains, grain = len(table), spots.grain
    used = np.bincount(grain[noise.inlier.all(axis=0)], minlength=grains)
    inlier = noise.inlier & (spots.certainty == 1.0)
    squares = np.where(inlier, residual**2 / noise.variance, 0.0).sum(axis=0)
    freedom = np.bincount(grain, inlier.sum(axis=0), grains) - NUMBERS
    chi2 = np.bincount(grain, squares, grains) / np.where(freedom > 0, freedom, np.nan)
    table["NrSpots"][:], table["NrUsed"][:], table["Chi2"][:] = listed, used, chi2
    flag = np.where(chi2 > _LARGEST_CHI2, uncertainty.POOR_FIT, uncertainty.GOOD)
    flag[repeated] = uncertainty.COPY
    flag[used < _FEWEST_USED] = uncertainty.FEW_SPOTS
    flag[np.isnan(table["sX"])] = uncertainty.SINGULAR
    table["Flag"][:] = flag


def _report(sigmas: GrainSigmas) -> None:
    """The usual uncertainty, and the grains that are not as others."""
    known = sigmas["Flag"] != uncertainty.SINGULAR
    if known.any():
        sizes = [
            float(np.median(np.linalg.norm([sigmas[f"s{name}"][known] for name in names], axis=0)))
            for names in (uncertainty.POSITION, uncertainty.ROTATION, ("E11", "E22", "E33"))
        ]
        log.info("Median sigma: position %.3g um, orientation %.3g degrees, strain %.3g e-6", *sizes)
        log.info("Halves of the spots differ by %.2f, %.2f and %.2f of what they should", *sigmas.honesty)
    if (lost := int((~known).sum())) > 0:
        log.warning("%d of %d grains have no sigmas: their spots do not determine them", lost, len(sigmas))
