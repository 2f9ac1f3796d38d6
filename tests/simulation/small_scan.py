"""Two grains and a small detector: the scan that most tests of the simulation change in one point."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas.archive import Archive

GRAINS = """%NumGrains 2
%BeamCenter 0.000000
%BeamThickness 200.000000
%GlobalPosition 0.000000
%NumPhases 1
%PhaseInfo
%\tSpaceGroup:225
%\tLattice Parameter: 3.524000 3.524000 3.524000 90.000000 90.000000 90.000000
%GrainID\tO11\tO12\tO13\tO21\tO22\tO23\tO31\tO32\tO33\tX\tY\tZ\ta\tb\tc\talpha\tbeta\tgamma
17 0.676892 -0.225057 -0.700832 -0.639072 -0.652124 -0.407826 -0.365245 0.723936 -0.585245 0.2 178.9 5.4 3.528 3.521 \
3.529 90.03 89.91 89.99 1 2 3 100
23 -0.892175 0.446929 -0.065412 0.140018 0.411330 0.900668 0.429441 0.794394 -0.429556 -68.3 -161.8 -92.4 3.520 3.524 \
3.518 89.90 90.01 90.05 1 2 3 50
"""
PARAMETERS = """LatticeConstant 3.524 3.524 3.524 90 90 90
SpaceGroup 225
InFileName GrainsSim.csv
OutFileName sim
NrPixels 256
px 800
Lsd 500000
BC 128 128
RhoD 102400
Wavelength 0.172979
OmegaStart -90
OmegaEnd 90
OmegaStep 5
RingThresh 1 10
RingThresh 2 10
PeakIntensity 5000
"""


def frames_of(archive: Path) -> np.ndarray:
    with Archive(archive) as opened:
        return np.array(list(opened.frames))
