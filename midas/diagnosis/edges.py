"""Grains that lie where the searched volume ends (docs/theory/diagnosis.md#grains-at-the-edge)."""

from __future__ import annotations

import numpy as np

from midas.diagnosis.evidence import Evidence
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters

#: a refinement that wants to go farther stops this close to the end, µm
_NEAR = 0.5
#: so many, and such a share of the grains, are no chance
_FEWEST, _SHARE = 3, 0.3


def at_the_edge(layer: Layer, parameters: Parameters, grains: Table) -> str:
    """What is wrong when many grains lie at the end of the searched volume; "" if not."""
    height = parameters.for_stage("diagnosis")["Hbeam"] / 2
    count = int(np.count_nonzero(np.abs(grains["Z"]) >= height - _NEAR))
    if count < _FEWEST or count < _SHARE * len(grains):
        return ""
    evidence = Evidence(layer, parameters)
    sentences = list(evidence.offsets.sentences(evidence.detector, evidence.image))
    advice = sentences[0] if sentences else "enlarge it if the sample is larger, or check BC and Lsd"
    edge = f"the edge of the searched volume (Z = ±Hbeam / 2 = {height:g} µm)"
    return f"{count} of {len(grains)} grains lie at {edge}: {advice}"
