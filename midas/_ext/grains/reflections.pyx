"""The reflections of crystals as the detector records them (docs/theory/resolving.md#sharp-matches)."""
import numpy as np

from cython.parallel cimport prange

from midas._ext.numerics.elementary cimport atan2
from midas._ext.physics.geometry cimport RAD2DEG, eta_of
from midas._ext.physics.lattice cimport reciprocal_basis
from midas._ext.physics.predict cimport (
    BothOmegas, Firing, OriginSpot, fires_recorded, first_branch, record_branch)
from midas._ext.physics.region cimport ACCEPTED, AcceptedRegion, beside_poles, place_verdict
from midas._ext.physics.rotation cimport matrix_product, matrix_vector
from midas._ext.physics.wedge cimport instrument_of

from typing import NamedTuple


class PredictedReflections(NamedTuple):
    """Reflections of crystals, crystal by crystal; the arrays have the shape (n,).

    `crystal` and `hkl` are the places in the lists of crystals and reflections; `branch` is the sign of the laboratory
    y. `omega_recorded` and `eta` are degrees, `y_plane` and `z_plane` µm. `lorentz` is e/|G|, with the sign of the
    branch. `accepted` says whether the spot can be observed.
    """

    crystal: object
    hkl: object
    ring: object
    branch: object
    omega_recorded: object
    y_plane: object
    z_plane: object
    eta: object
    lorentz: object
    accepted: object


cdef inline void _record(const ReflectionList* reflections, const Firing* f, double branch, const double* position,
                         CrystalReflection* out) noexcept nogil:
    cdef OriginSpot spot
    cdef BothOmegas omegas
    cdef double omega
    record_branch(&reflections.instrument, f, branch, position, &spot, &omegas)
    out.branch = 1 if branch > 0.0 else -1
    out.omega_recorded = RAD2DEG * atan2(omegas.sin_recorded, omegas.cos_recorded)
    out.y_plane = spot.y
    out.z_plane = spot.z
    out.eta = eta_of(spot.y, spot.z)
    out.lorentz = branch * f.e * f.d_spacing
    # The region knows recorded spots where the wedge is exact, and omegas of an upright axis in the legacy model.
    omega = out.omega_recorded
    if not reflections.instrument.exact:
        omega = RAD2DEG * atan2(omegas.sin_ideal, omegas.cos_ideal)
    out.accepted = (beside_poles(reflections.region, out.eta)
                    and place_verdict(reflections.region, omega, spot.y, spot.z) == ACCEPTED)


cdef int predict_crystal(const ReflectionList* reflections, const double* u, const double* position,
                         const double* cell, CrystalReflection* out) noexcept nogil:
    """All reflections of a crystal that fire, at most two of each; returns how many."""
    cdef double[9] b
    cdef double[9] ub
    cdef double[3] hkl
    cdef double[3] g
    cdef Firing f
    cdef double branch
    cdef Py_ssize_t i
    cdef int n = 0, _branch
    reciprocal_basis(cell, b)
    matrix_product(u, b, ub)
    for i in range(reflections.n):
        hkl[0] = reflections.h[i]
        hkl[1] = reflections.k[i]
        hkl[2] = reflections.l[i]
        matrix_vector(ub, hkl, g)
        if not fires_recorded(&reflections.instrument, g[0], g[1], g[2], &f):
            continue
        branch = first_branch(f.y)
        for _branch in range(2):
            _record(reflections, &f, branch, position, &out[n])
            out[n].hkl = <int>i
            n += 1
            branch = -branch
    return n


cdef class ReflectionModel:
    """A list of reflections, and the instrument and region that record them.

    Parameters
    ----------
    hkl : (3, n) float64, Miller indices
    ring : (n,) int32, ring number of each
    instrument : of `midas._ext.refine.settings`
    region : where spots can be observed

    Raises
    ------
    ValueError
        for arrays that do not fit together
    """

    def __init__(self, const double[:, ::1] hkl, const int[::1] ring, instrument, AcceptedRegion region not None):
        if hkl.shape[0] != 3 or hkl.shape[1] != ring.shape[0] or ring.shape[0] == 0:
            raise ValueError("there must be reflections (3, n), and a ring of each")
        self.view.n = hkl.shape[1]
        self.view.h = &hkl[0, 0]
        self.view.k = &hkl[1, 0]
        self.view.l = &hkl[2, 0]
        tx, ty, tz = instrument.tilts
        self.view.instrument = instrument_of(
            instrument.lsd, instrument.wavelength, instrument.wedge, instrument.exact_wedge, tx, ty, tz)
        self.view.region = &region.view
        self.ring = np.asarray(ring)
        self.arrays = (hkl, ring, region)

    def predicted(self, const double[:, :, ::1] u, const double[:, ::1] position, const double[:, ::1] cell,
                  int threads=1):
        """All reflections of crystals that fire.

        Parameters
        ----------
        u : (c, 3, 3) float64, crystal to sample
        position : (c, 3) float64, µm
        cell : (c, 6) float64, Å and degrees

        Returns
        -------
        PredictedReflections
        """
        cdef Py_ssize_t c = u.shape[0], n = self.view.n
        cdef const ReflectionList* reflections = &self.view
        cdef CrystalReflection sample
        if u.shape[1] != 3 or u.shape[2] != 3 or not c == position.shape[0] == cell.shape[0] or (
                position.shape[1] != 3 or cell.shape[1] != 6):
            raise ValueError("one matrix, position and cell per crystal")
        dtype = np.asarray(<CrystalReflection[:1]>&sample).dtype
        records = np.zeros((c, 2 * n), dtype)
        counts_array = np.zeros(c, np.int32)
        if c:
            _predict_all(reflections, u, position, cell, records, counts_array, threads)
        fired = np.arange(2 * n) < counts_array[:, None]
        crystal = np.repeat(np.arange(c, dtype=np.int32), counts_array)
        found = {name: np.ascontiguousarray(records[name][fired]) for name in dtype.names}
        hkl, branch, accepted = found.pop("hkl"), found.pop("branch"), found.pop("accepted")
        return PredictedReflections(
            crystal, hkl, self.ring[hkl], branch.astype(np.int8), accepted=accepted.astype(np.bool_), **found)


cdef _predict_all(const ReflectionList* reflections, const double[:, :, ::1] u, const double[:, ::1] position,
                  const double[:, ::1] cell, CrystalReflection[:, ::1] records, int[::1] counts, int threads):
    cdef Py_ssize_t i
    for i in prange(u.shape[0], nogil=True, num_threads=threads, schedule="static"):
        counts[i] = predict_crystal(reflections, &u[i, 0, 0], &position[i, 0], &cell[i, 0], &records[i, 0])
