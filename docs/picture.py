"""The picture in the README: the grain map of ``ff-midas demo`` from above, drawn as SVG.

python docs/picture.py midas_demo docs/demo.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from midas.formats.grains import read_grains
from midas.formats.table import Table
from midas.results.figures import ipf_colours

SIZE, MARGIN, REACH = 460, 40, 300.0  # px, px, µm


def draw(true: Table, found: Table) -> str:
    """The map as text: circles are found grains, sized by their radius, crosses the true positions."""

    def place(x: float, y: float) -> tuple[float, float]:
        scale = (SIZE - 2 * MARGIN) / (2 * REACH)
        return MARGIN + (REACH - y) * scale, MARGIN + (REACH - x) * scale

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE + 30}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{SIZE}" height="{SIZE + 30}" fill="white"/>',
        f'<rect x="{MARGIN}" y="{MARGIN}" width="{SIZE - 2 * MARGIN}" height="{SIZE - 2 * MARGIN}" fill="none" '
        'stroke="#999"/>',
    ]
    u = np.array([found[f"O{i}{j}"] for i in (1, 2, 3) for j in (1, 2, 3)]).T.reshape(-1, 3, 3)
    colours = ipf_colours(u, 225)
    largest = found["GrainRadius"].max()
    for x, y, radius, (r, g, b) in zip(found["X"], found["Y"], found["GrainRadius"], colours, strict=True):
        cx, cy = place(x, y)
        size = 8 + 14 * radius / largest
        parts.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="{size:.1f}" fill="rgb({r},{g},{b})" stroke="#333"/>')
    for x, y in zip(true["X"], true["Y"], strict=True):
        cx, cy = place(x, y)
        parts.append(f'<path d="M{cx - 5:.1f} {cy:.1f}h10M{cx:.1f} {cy - 5:.1f}v10" stroke="black"/>')
    parts += [
        f'<text x="{MARGIN}" y="{MARGIN - 12}">grains found (circles) and true (crosses), seen from above</text>',
        f'<text x="{MARGIN}" y="{SIZE - MARGIN + 18}">y = +{REACH:.0f} µm</text>',
        f'<text x="{SIZE - MARGIN}" y="{SIZE - MARGIN + 18}" text-anchor="end">y = −{REACH:.0f} µm</text>',
        f'<text x="{SIZE / 2}" y="{SIZE - MARGIN + 18}" text-anchor="middle">beam upwards (x)</text>',
        f'<text x="{MARGIN}" y="{SIZE + 12}">colour: crystal direction along the rotation axis</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    true, found = read_grains(folder / "GrainsSim.csv"), read_grains(folder / "LayerNr_1" / "Grains.csv")
    target.write_text(draw(true, found), encoding="utf-8")


if __name__ == "__main__":
    main()
