"""``hkls.csv``: the reflections in the order that every later stage relies on (docs/theory/hkls.md#table)."""

from __future__ import annotations

from midas.formats.table import Column, Layout, fixed

LAYOUT = Layout(
    header="h k l D-spacing RingNr g1 g2 g3 Theta 2Theta Radius",
    columns=(
        *(Column(name, 0) for name in "hkl"),
        *fixed("d_spacing"),
        Column("ring", 0),
        *fixed("g1 g2 g3 theta two_theta ring_radius"),
    ),
    written_by="ff-hkls",
    needed="reflections",
)
