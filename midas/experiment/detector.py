"""The instrument as one object: where the detector stands, and what it records of a crystal.

See docs/theory/geometry.md#detector-transform.

The laboratory frame has x along the beam, z up and y to the left looking downstream, with its origin on the rotation
axis. Pixels are those after the image transformation, their centres at whole numbers; `y_px` grows to the right, `z_px`
upwards. Eta is 0 at +z and +90 degrees at -y. The plane is the detector without tilt and distortion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.physics.detector import angles_to_plane, bragg_angles, pixels_to_plane, plane_to_pixels
from midas._ext.physics.spots import moved_spots, predicted_spots, scattering_vectors, turned_spots
from midas.runtime.errors import ParameterError

if TYPE_CHECKING:
    from midas.parameters import Parameters

Array = NDArray[np.float64]

#: energy of a photon times its wavelength, keV Å
KEV_ANGSTROM = 12.398419843320026
_ORIGIN = (0.0, 0.0, 0.0)


def has_exact_wedge(parameters: Parameters) -> bool:
    """Whether spots turn with the leaning axis (docs/theory/wedge.md#two-models)."""
    return bool(parameters["WedgeModel"] == "exact")


def surface_tilts(parameters: Parameters) -> tuple[float, float, float]:
    """Tilts (degrees) for beams from beside the origin; zeros with ``TiltModel legacy``.

    See docs/theory/geometry.md#beams-on-a-tilted-detector.
    """
    if parameters["TiltModel"] == "legacy":
        return (0.0, 0.0, 0.0)
    return parameters["tx"], parameters["ty"], parameters["tz"]


class Ideal(NamedTuple):
    """Where a pixel looks: `two_theta` and `eta` in degrees, `radius` (µm) on the plane."""

    two_theta: Array
    eta: Array
    radius: Array


class PredictedSpots(NamedTuple):
    """Spots of a grain; the last axis of every array is the branch, the larger cosine of omega first.

    `omega` is the recorded one (degrees, -180 ... 180), `y_plane` and `z_plane` (µm) are on the plane, `y_px` and
    `z_px` the pixel; `two_theta` and `eta` (degrees) are the diffracted beam's, free from the grain's position. NaN
    where a reflection never fires.
    """

    omega: Array
    y_plane: Array
    z_plane: Array
    y_px: Array
    z_px: Array
    two_theta: Array
    eta: Array


@dataclass(frozen=True)
class DetectorGeometry:
    """The detector, the beam and the rotation axis.

    Every method takes numbers or arrays of any shapes that broadcast, and returns float64 arrays of the common shape.

    Parameters
    ----------
    lsd : sample to detector, µm
    y_bc, z_bc : beam centre, px
    px : pixel size, µm
    rho_d : radius that normalises the distortion, µm
    tx, ty, tz : tilts, degrees: the pixel plane is turned by Rx(tx) Ry(ty) Rz(tz) about the beam centre
    p0, p1, p2, p3 : two-fold, four-fold and isotropic distortion, and the phase (degrees) of the four-fold term
    wavelength : of the beam, Å; only what deals with reflections needs it
    wedge : angle by which the top of the rotation axis leans upstream, degrees
    exact_wedge : whether spots turn with the leaning axis, or the wedge moves omega only (`WedgeModel`)
    exact_tilts : whether a tilted detector stops the beams of a grain beside the origin where it stands, or their spots
        are moved on the plane (`TiltModel`)

    Examples
    --------
    >>> detector = DetectorGeometry(lsd=1e6, y_bc=1022, z_bc=1022, px=200, rho_d=204800, wavelength=0.22291)
    >>> two_theta, eta, radius = detector.ideal(1522, 1022)
    >>> print(two_theta.round(4), eta.round(4), radius.round(1))
    5.7106 90.0 100000.0
    >>> y_px, z_px = detector.pixel(two_theta, eta)
    >>> print(y_px.round(6), z_px.round(6))
    1522.0 1022.0
    """

    lsd: float
    y_bc: float
    z_bc: float
    px: float
    rho_d: float
    tx: float = 0.0
    ty: float = 0.0
    tz: float = 0.0
    p0: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    p3: float = 0.0
    wavelength: float | None = None
    wedge: float = 0.0
    exact_wedge: bool = True
    exact_tilts: bool = True

    @classmethod
    def from_parameters(cls, parameters: Parameters, *, beam: bool = True) -> DetectorGeometry:
        """The instrument that a parameter file or an archive describes.

        Parameters
        ----------
        parameters : with `Lsd`, `BC`, `px`, `RhoD`, tilts and distortion
        beam : also `Wavelength`, if it is given, `Wedge`, `WedgeModel` and `TiltModel`

        Raises
        ------
        ParameterError : naming the key that is missing or out of its range
        """
        y_bc, z_bc = parameters["BC"]
        return cls(
            lsd=parameters["Lsd"],
            y_bc=y_bc,
            z_bc=z_bc,
            px=parameters["px"],
            rho_d=parameters["RhoD"],
            **{name: parameters[name] for name in ("tx", "ty", "tz", "p0", "p1", "p2", "p3")},
            wavelength=parameters["Wavelength"] if beam and "Wavelength" in parameters else None,
            wedge=parameters["Wedge"] if beam else 0.0,
            exact_wedge=not beam or has_exact_wedge(parameters),
            exact_tilts=not beam or parameters["TiltModel"] == "exact",
        )

    def packed(self) -> Array:
        """The (12,) float64 array that `midas._ext.physics.geometry.unpack_detector` takes apart."""
        return np.array(
            [self.lsd, self.y_bc, self.z_bc, self.px, self.rho_d, self.p0, self.p1, self.p2, self.p3]
            + [self.tx, self.ty, self.tz]
        )

    def ideal(self, y_px: ArrayLike, z_px: ArrayLike) -> Ideal:
        """Where pixels look: two_theta and eta (degrees), radius (µm).

        Parameters
        ----------
        y_px, z_px : px

        Returns
        -------
        Ideal; eta is NaN at the beam centre
        """
        _, _, radius, eta, two_theta = self._on_plane(y_px, z_px)
        return Ideal(two_theta, eta, radius)

    def plane(self, y_px: ArrayLike, z_px: ArrayLike) -> tuple[Array, Array]:
        """Pixels (px) to y and z (µm) on the plane without tilt and distortion."""
        y, z, *_ = self._on_plane(y_px, z_px)
        return y, z

    def pixel(self, two_theta: ArrayLike, eta: ArrayLike) -> tuple[Array, Array]:
        """Inverse of `ideal`: the pixel that looks at two_theta and eta (degrees).

        Returns
        -------
        y_px, z_px; beside the detector too, NaN for two_theta of 90 degrees and more
        """
        (two_theta, eta), shape = _columns(two_theta, eta)
        y, z = angles_to_plane(two_theta, eta, self.lsd)
        return self.pixel_of_plane(y.reshape(shape), z.reshape(shape))

    def pixel_of_plane(self, y: ArrayLike, z: ArrayLike) -> tuple[Array, Array]:
        """Inverse of `plane`: y and z (µm) to pixels."""
        (y, z), shape = _columns(y, z)
        y_px, z_px = plane_to_pixels(y, z, self.packed())
        return y_px.reshape(shape), z_px.reshape(shape)

    def ring(self, two_theta: ArrayLike, points: int = 361) -> tuple[Array, Array]:
        """Rings as lines on the detector.

        Parameters
        ----------
        two_theta : degrees, of any shape
        points : of each line, from eta -180 to 180 degrees

        Returns
        -------
        y_px, z_px : (..., points)

        Examples
        --------
        >>> detector = DetectorGeometry(1e6, 1022, 1022, 200, 204800)
        >>> y_px, z_px = detector.ring([4.0, 5.0, 6.0])
        >>> y_px.shape
        (3, 361)
        """
        return self.pixel(_floats(two_theta)[..., None], np.linspace(-180.0, 180.0, points))

    def two_theta(self, d_spacing: ArrayLike) -> Array:
        """Diffraction angle (degrees) of lattice spacings (Å); NaN for what is too small to diffract.

        Raises
        ------
        ParameterError : without a wavelength
        """
        (d,), shape = _columns(d_spacing)
        return bragg_angles(d, self.known_wavelength()).reshape(shape)

    def displaced(self, y: ArrayLike, z: ArrayLike, omega: ArrayLike, position: ArrayLike) -> tuple[Array, Array]:
        """Spots of a grain at the origin to those of a grain elsewhere.

        Parameters
        ----------
        y, z : µm on the plane
        omega : degrees, as recorded
        position : (..., 3), of the grain in the sample, µm

        Returns
        -------
        y, z : µm on the plane
        """
        return self._moved(y, z, omega, position, False)

    def centred(self, y: ArrayLike, z: ArrayLike, omega: ArrayLike, position: ArrayLike) -> tuple[Array, Array]:
        """Inverse of `displaced`: spots as if their grain were at the origin."""
        return self._moved(y, z, omega, position, True)

    def upright(self, y: ArrayLike, z: ArrayLike, omega: ArrayLike) -> tuple[Array, Array, Array]:
        """Recorded spots of a grain at the origin to the ideal ones, which the same axis without lean would give.

        Parameters
        ----------
        y, z : µm on the plane
        omega : degrees

        Returns
        -------
        y, z, omega : of the same two_theta; NaN where there is no such spot, beside a pole
        """
        return self._turned(y, z, omega, False)

    def leaning(self, y: ArrayLike, z: ArrayLike, omega: ArrayLike) -> tuple[Array, Array, Array]:
        """Inverse of `upright`: ideal spots to those that the leaning axis records."""
        return self._turned(y, z, omega, True)

    def g_vectors(self, y_px: ArrayLike, z_px: ArrayLike, omega: ArrayLike, position: ArrayLike = _ORIGIN) -> Array:
        """Scattering vectors of spots, in the sample frame: what `u @ b @ (h, k, l)` is for the right crystal.

        Parameters
        ----------
        y_px, z_px : px
        omega : degrees, as recorded
        position : (..., 3), of the grain in the sample, µm

        Returns
        -------
        (..., 3) float64, 1/Å without 2π: the inverse of the length is the lattice spacing

        Raises
        ------
        ParameterError : without a wavelength

        Examples
        --------
        >>> detector = DetectorGeometry(1e6, 1022, 1022, 200, 204800, wavelength=0.22291)
        >>> g = detector.g_vectors([1522, 1522], [1022, 1022], [0.0, 90.0])
        >>> print(g.round(4))
        [[-0.0223 -0.4464  0.    ]
         [-0.4464  0.0223  0.    ]]
        """
        (y, z, omega), positions, shape = _with_positions(position, *self.plane(y_px, z_px), omega)
        beam = (self.lsd, self.known_wavelength(), self.wedge, self.exact_wedge, self.surface)
        g = scattering_vectors(y, z, omega, positions, *beam)
        return g.reshape(*shape, 3)

    def omegas(self, g: ArrayLike) -> Array:
        """Both rotation angles at which reflections are recorded.

        Parameters
        ----------
        g : (..., 3), scattering vectors in the sample frame, 1/Å

        Returns
        -------
        (..., 2) float64, degrees in -180 ... 180, in the order of `spots`; NaN for reflections that never fire

        Raises
        ------
        ParameterError : without a wavelength

        Examples
        --------
        >>> detector = DetectorGeometry(1e6, 1022, 1022, 200, 204800, wavelength=0.22291)
        >>> print(detector.omegas([[-0.0223, -0.4464, 0.0], [0.0, 0.0, 0.447]]).round(2))
        [[   0.   -174.28]
         [    nan     nan]]
        """
        omega: Array = self._predicted(_floats(g), _ORIGIN)[0]
        return omega

    def spots(self, ub: ArrayLike, hkls: ArrayLike, position: ArrayLike = _ORIGIN) -> PredictedSpots:
        """Every spot of a grain, or of several.

        Parameters
        ----------
        ub : (..., 3, 3), orientation (crystal to sample) times reciprocal basis, 1/Å
        hkls : (n, 3) Miller indices
        position : (..., 3), of the grain in the sample, µm

        Returns
        -------
        PredictedSpots of arrays (..., n, 2)

        Raises
        ------
        ParameterError : without a wavelength

        Examples
        --------
        >>> from midas.experiment import reciprocal_basis
        >>> gold = DetectorGeometry(1e6, 1022, 1022, 200, 204800, wavelength=0.22291)
        >>> spots = gold.spots(reciprocal_basis([4.08, 4.08, 4.08, 90, 90, 90]), [[1, 1, 1], [0, 2, 2]])
        >>> print(spots.omega.round(3))
        [[  48.322 -138.322]
         [   6.273  173.727]]
        >>> print(spots.two_theta[:, 0].round(4))
        [5.4239 8.8628]
        """
        g = (_floats(ub)[..., None, :, :] @ _floats(hkls)[..., None])[..., 0]
        omega, _, y, z, two_theta, eta = self._predicted(g, _floats(position)[..., None, :])
        return PredictedSpots(omega, y, z, *self.pixel_of_plane(y, z), two_theta, eta)

    def _on_plane(self, y_px: ArrayLike, z_px: ArrayLike) -> tuple[Array, ...]:
        (y_px, z_px), shape = _columns(y_px, z_px)
        return tuple(column.reshape(shape) for column in pixels_to_plane(y_px, z_px, self.packed()))

    def _moved(
        self, y: ArrayLike, z: ArrayLike, omega: ArrayLike, position: ArrayLike, back: bool
    ) -> tuple[Array, Array]:
        (y, z, omega), positions, shape = _with_positions(position, y, z, omega)
        moved = moved_spots(y, z, omega, positions, self.lsd, self.wedge, back, self.surface)
        return moved[0].reshape(shape), moved[1].reshape(shape)

    def _turned(self, y: ArrayLike, z: ArrayLike, omega: ArrayLike, back: bool) -> tuple[Array, Array, Array]:
        (y, z, omega), shape = _columns(y, z, omega)
        turned = turned_spots(y, z, omega, self.lsd, self.wedge, self.exact_wedge, back)
        return turned[0].reshape(shape), turned[1].reshape(shape), turned[2].reshape(shape)

    def _predicted(self, g: Array, position: ArrayLike) -> Array:
        """(6, ..., 2), see `midas._ext.physics.spots.predicted_spots`."""
        g, position = np.broadcast_arrays(g, _floats(position))
        vectors, positions = (np.ascontiguousarray(a.reshape(-1, 3)) for a in (g, position))
        beam = (self.lsd, self.known_wavelength(), self.wedge, self.exact_wedge, self.surface)
        columns = predicted_spots(vectors, positions, *beam)
        return columns.reshape(len(columns), *g.shape[:-1], 2)

    @property
    def surface(self) -> tuple[float, float, float]:
        """Tilts of the surface that stops beams from beside the origin."""
        return (self.tx, self.ty, self.tz) if self.exact_tilts else (0.0, 0.0, 0.0)

    def known_wavelength(self) -> float:
        """The wavelength (Å).

        Raises
        ------
        ParameterError : without one
        """
        if self.wavelength is None:
            raise ParameterError("is needed for what concerns reflections; give the geometry one", key="Wavelength")
        return self.wavelength


def _floats(values: ArrayLike) -> Array:
    return np.asarray(values, np.float64)


def _columns(*values: ArrayLike) -> tuple[list[Array], tuple[int, ...]]:
    """The values broadcast to a common shape, as flat columns, and the shape."""
    arrays = np.broadcast_arrays(*map(_floats, values))
    return [np.ascontiguousarray(a.reshape(-1)) for a in arrays], arrays[0].shape


def _with_positions(position: ArrayLike, *values: ArrayLike) -> tuple[list[Array], Array, tuple[int, ...]]:
    """`_columns` of values and, beside them, the (n, 3) positions."""
    columns, shape = _columns(*values, *np.moveaxis(_floats(position), -1, 0))
    return columns[:-3], np.column_stack(columns[-3:]), shape
