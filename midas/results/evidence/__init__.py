"""What speaks for a grain: its predicted and observed spots, their pixels, and the powder profile of the layer.

``from midas.results.evidence import predicted_spots`` and the like.
"""

from midas.results.evidence.montage import Montage, montage
from midas.results.evidence.powder import PowderProfile, ProfileRing, powder_profile
from midas.results.evidence.predicted import (
    MISSING,
    OBSERVED,
    OUTSIDE,
    PREDICTED_FIELDS,
    SHARED,
    STATES,
    Predicted,
    Predictor,
    predicted_spots,
)
from midas.results.evidence.which_grains import grains_to_show

__all__ = [
    "MISSING",
    "OBSERVED",
    "OUTSIDE",
    "PREDICTED_FIELDS",
    "SHARED",
    "STATES",
    "Montage",
    "PowderProfile",
    "Predicted",
    "Predictor",
    "ProfileRing",
    "grains_to_show",
    "montage",
    "powder_profile",
    "predicted_spots",
]
