"""Figures of the results of a layer: functions of `Results` that return plotly figures (docs/results.md#figures).

A notebook, the report and a script draw with the same functions. Lengths are µm, angles degrees, strains 1e-6, stresses
MPa.
"""

from midas.results.colours.keys import ipf_colours, key_of
from midas.results.figures.choices import Choice, colour_choice, colour_choices
from midas.results.figures.disorientations import misorientations
from midas.results.figures.distributions import completeness, sizes, strains
from midas.results.figures.key import ipf_key
from midas.results.figures.maps import grain_map, grain_views
from midas.results.figures.pixels import montage, powder_profile
from midas.results.figures.poles import inverse_pole_figure, pole_figure
from midas.results.figures.residuals import residuals
from midas.results.figures.spots import detector, eta_omega
from midas.results.figures.tracks import macroscopic, motion_paths, strain_paths

__all__ = [
    "Choice",
    "colour_choice",
    "colour_choices",
    "completeness",
    "detector",
    "eta_omega",
    "grain_map",
    "grain_views",
    "inverse_pole_figure",
    "ipf_colours",
    "ipf_key",
    "key_of",
    "misorientations",
    "montage",
    "pole_figure",
    "powder_profile",
    "macroscopic",
    "motion_paths",
    "residuals",
    "sizes",
    "strain_paths",
    "strains",
]
