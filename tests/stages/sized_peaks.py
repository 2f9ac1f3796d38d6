"""Peaks with sizes, as the setup stage finds them, and what it must be told."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from midas.formats import hkls, radius
from midas.formats.table import Table

FRAMES = 5

TEXT = """
Lsd 1000000
BC 1022 1022
px 200
RhoD 204800
Wavelength 0.22291
LatticeParameter 4.08 4.08 4.08 90 90 90
OmegaStep 0.25
MinEta 6
OverAllRingToIndex 2
Rsample 1000
Hbeam 1000
"""

REGION = "OmegaRange -180 180\nBoxSize -1000000 1000000 -1000000 1000000\n"

THETAS = {1: 2.711, 2: 3.131, 3: 4.432, 4: 5.201}


def hkl_table(thetas: dict[int, float] = THETAS) -> Table:
    theta = np.array(list(thetas.values()))
    columns = {name: np.zeros(len(theta)) for name in hkls.LAYOUT.names}
    columns |= {"ring": np.array(list(thetas)), "theta": theta, "two_theta": 2 * theta}
    columns |= {
        "ring_radius": 1e6 * np.tan(np.radians(2 * theta)),
        "d_spacing": 0.22291 / 2 / np.sin(np.radians(theta)),
    }
    return hkls.LAYOUT.rounded(Table.from_columns(hkls.LAYOUT.names, columns))


def peak_table(*spots: dict[str, float]) -> Table:
    """One row per spot; keys: ring, eta, omega, frames, dr (px off the ring), and any column of the Radius file."""
    rows = []
    for number, spot in enumerate(spots, 1):
        ring = int(spot.get("ring", 2))
        distance = 1e6 * np.tan(np.radians(2 * THETAS.get(ring, 6.0))) / 200 + spot.get("dr", 0.0)
        eta = np.radians(spot.get("eta", 45.0))
        row = dict.fromkeys(radius.LAYOUT.names, 0.0)
        row |= {"spot_id": number, "intensity": 100.5 * number, "grain_radius": 10.25 * number}
        row |= {"raw_sum": 1000.0 * number, "frames": 1, "omega_recorded": 0.0, "ring": ring}
        row |= {"y_recorded": 1022 + distance * np.sin(eta), "z_recorded": 1022 + distance * np.cos(eta)}
        row |= {name: value for name, value in spot.items() if name in row}
        rows.append(row)
    columns = {name: np.array([row[name] for row in rows]) for name in radius.LAYOUT.names}
    return radius.LAYOUT.rounded(Table.from_columns(radius.LAYOUT.names, columns))


SOME = peak_table({"ring": 1}, {"ring": 2, "omega_recorded": 20}, {"ring": 2, "omega_recorded": 10, "eta": -100})


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
