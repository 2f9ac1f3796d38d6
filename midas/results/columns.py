"""The columns of grains, spots and peaks as they are handed to Python: names, types, units (docs/results.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Field:
    """A column: what it is called, what it holds, in which unit."""

    name: str
    dtype: str
    unit: str
    meaning: str
    shape: tuple[int, ...] = ()
    #: what the parts of several numbers are called, where a column holds one number
    parts: tuple[str, ...] = ()

    @property
    def flat_names(self) -> tuple[str, ...]:
        """Names of columns of one number each: those of the parts, row by row."""
        return self.parts or (self.name,)


def _matrix(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))


GRAIN_FIELDS = (
    Field("grain_id", "<i8", "", "identity in the layer"),
    Field("orientation", "<f8", "", "U, crystal (a* along x, c along z) to sample", (3, 3), _matrix("u")),
    Field("position", "<f8", "um", "centre of mass, sample frame", (3,), ("x", "y", "z")),
    Field(
        "cell",
        "<f8",
        "angstrom, degrees",
        "a, b, c, alpha, beta, gamma of the strained crystal",
        (6,),
        ("a", "b", "c", "alpha", "beta", "gamma"),
    ),
    Field("radius", "<f8", "um", "of the sphere of the grain's volume"),
    Field("completeness", "<f8", "", "part of the expected spots that was found"),
    Field("strain", "<f8", "1e-6", "strain tensor from the spots (eKen), sample frame", (3, 3), _matrix("strain")),
    Field(
        "strain_fable",
        "<f8",
        "1e-6",
        "strain tensor from the cell (eFab), sample frame",
        (3, 3),
        _matrix("strain_fable"),
    ),
    Field("rms_strain_error", "<f8", "1e-6", "what the strain tensor leaves of the spots"),
    Field("diff_pos", "<f8", "um", "mean distance of the spots from their predictions on the detector"),
    Field("diff_ome", "<f8", "degrees", "mean difference of omega"),
    Field("diff_angle", "<f8", "degrees", "mean angle between observed and predicted scattering vectors"),
    Field("phase", "<i8", "", "number of the phase"),
    Field("euler_angles", "<f8", "degrees", "Bunge phi1, Phi, phi2", (3,), ("phi1", "Phi", "phi2")),
)
SPOT_FIELDS = (
    Field("grain_id", "<i8", "", "grain to which the spot belongs"),
    Field("spot_id", "<i8", "", "identity in the layer"),
    Field("ring", "<i8", "", "ring number"),
    Field("omega", "<f8", "degrees", "of the equivalent spot on an ideal instrument (omega_ideal)"),
    Field("omega_recorded", "<f8", "degrees", "as measured"),
    Field("y_recorded", "<f8", "px", "horizontal pixel position as measured"),
    Field("z_recorded", "<f8", "px", "vertical pixel position as measured"),
    Field("eta", "<f8", "degrees", "azimuth of the equivalent spot"),
    Field("y_ideal", "<f8", "um", "of the equivalent spot on an ideal detector"),
    Field("z_ideal", "<f8", "um", "of the equivalent spot on an ideal detector"),
    Field("theta", "<f8", "degrees", "Bragg angle"),
    Field("strain_error", "<f8", "1", "relative strain that the tensor of the grain leaves of this spot"),
    Field("intensity", "<f8", "counts", "integrated"),
    Field("omega_min", "<f8", "degrees", "first frame"),
    Field("omega_max", "<f8", "degrees", "last frame"),
    Field("frames", "<f8", "", "number of frames"),
    Field("grain_volume", "<f8", "um^3", "from the intensity of this spot alone"),
    Field("grain_radius", "<f8", "um", "from the intensity of this spot alone"),
    Field("powder_intensity", "<f8", "counts", "of the whole ring, against which the volume is measured"),
)
PEAK_FIELDS = (
    Field("spot_id", "<i8", "", "spot that the peak became, the lowest one of two; -1 if none"),
    Field("merged_id", "<i8", "", "merged spot to which the peak belongs"),
    Field("frame", "<i8", "", "analysed frame, from 1"),
    Field("peak_id", "<i8", "", "peak in the frame, from 1"),
    Field("intensity", "<f8", "counts", "integrated"),
    Field("omega_recorded", "<f8", "degrees", "of the frame"),
    Field("y_recorded", "<f8", "px", "horizontal pixel position"),
    Field("z_recorded", "<f8", "px", "vertical pixel position"),
    Field("i_max", "<f8", "counts", "height of the fitted peak"),
    Field("radius", "<f8", "px", "distance from the beam centre"),
    Field("eta", "<f8", "degrees", "azimuth"),
    Field("sigma_r", "<f8", "px", "radial width (sigma)"),
    Field("sigma_eta", "<f8", "degrees", "azimuthal width (sigma)"),
    Field("pixels", "<f8", "", "number of pixels of the peak"),
    Field("region_pixels", "<f8", "", "number of pixels of its region"),
    Field("region_peaks", "<f8", "", "number of peaks in its region"),
    Field("max_y", "<f8", "px", "brightest pixel, horizontal"),
    Field("max_z", "<f8", "px", "brightest pixel, vertical"),
    Field("diff_y", "<f8", "px", "brightest pixel minus peak, horizontal"),
    Field("diff_z", "<f8", "px", "brightest pixel minus peak, vertical"),
    Field("raw_i_max", "<f8", "counts", "the brightest pixel"),
    Field("return_code", "<f8", "", "of the fit; 8 for a saturated peak"),
    Field("residual", "<f8", "counts", "of the fit of its region: root of the sum of squares"),
    Field("background", "<f8", "counts", "under the peak"),
    Field("sigma_gauss_r", "<f8", "px", "radial width of the Gaussian part"),
    Field("sigma_lorentz_r", "<f8", "px", "radial width of the Lorentzian part"),
    Field("sigma_gauss_eta", "<f8", "degrees", "azimuthal width of the Gaussian part"),
    Field("sigma_lorentz_eta", "<f8", "degrees", "azimuthal width of the Lorentzian part"),
    Field("mixing", "<f8", "1", "Lorentzian part of the profile"),
    Field("raw_sum", "<f8", "counts", "share of the sum over the pixels of its region"),
)


def dtype_of(fields: tuple[Field, ...]) -> np.dtype[np.void]:
    """The structured type of a table of these columns."""
    return np.dtype([(f.name, f.dtype, f.shape) if f.shape else (f.name, f.dtype) for f in fields])


GRAIN_DTYPE, SPOT_DTYPE, PEAK_DTYPE = map(dtype_of, (GRAIN_FIELDS, SPOT_FIELDS, PEAK_FIELDS))


def page_table(fields: tuple[Field, ...]) -> str:
    """The fields as a table of docs/results.md."""
    units = {"um": "µm", "um^3": "µm³", "1e-6": "10⁻⁶", "angstrom, degrees": "Å, degrees", "": "–", "1": "–"}
    rows = ["| field | shape | unit | holds |", "|---|---|---|---|"]
    for f in fields:
        shape = " × ".join(map(str, f.shape)) or ("" if f.dtype == "<f8" else "whole")
        rows.append(f"| `{f.name}` | {shape} | {units.get(f.unit, f.unit)} | {f.meaning} |")
    return "\n".join(rows)
