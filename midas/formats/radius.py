"""``Radius_*.csv``: spots on rings with their grain sizes (docs/theory/radius.md#table)."""

from __future__ import annotations

from midas.formats.table import Layout, fixed

LAYOUT = Layout(
    header=(
        "SpotID IntegratedIntensity Omega(degrees) YCen(px) ZCen(px) IMax MinOme(degrees) MaxOme(degress) Radius(px) "
        "Theta(degrees) Eta(degrees) DeltaOmega NImgs RingNr GrainVolume GrainRadius PowderIntensity SigmaR SigmaEta "
        "NrPx NrPxTot RawSumIntensity"
    ),
    columns=fixed(
        "spot_id intensity omega_recorded y_recorded z_recorded i_max min_omega max_omega radius theta eta delta_omega "
        "frames ring grain_volume grain_radius powder_intensity sigma_r sigma_eta pixels region_pixels raw_sum"
    ),
    written_by="ff-radius",
    # A disc has no size at the poles; such spots are rejected, or the binning refuses them.
    free=tuple("i_max delta_omega grain_volume grain_radius powder_intensity sigma_r sigma_eta raw_sum".split()),
)
