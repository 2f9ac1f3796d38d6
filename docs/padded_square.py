"""The figure of docs/theory/peaks.md: where a detector that is not square lies in its square, before and after a flip.

python docs/padded_square.py docs/padded-square.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

COLUMNS, ROWS = 256, 160
BEAM = (120, 60)  # column, row
SCALE, MARGIN, GAP = 0.7, 60, 90

#: what is drawn: title, and the pixel of the square (column, row) on which a raw pixel lies
SIDE = max(COLUMNS, ROWS)
PANELS = (
    ("raw frame in the square", lambda y, z: (y, z)),
    ("ImTransOpt 2 (rows reversed)", lambda y, z: (y, SIDE - 1 - z)),
    ("ImTransOpt 3 (transposed)", lambda y, z: (z, y)),
)


def draw() -> str:
    """The figure as text: rows count upwards, as z does."""
    size = SIDE * SCALE
    width, height = 2 * MARGIN + len(PANELS) * size + (len(PANELS) - 1) * GAP, size + 110
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    for number, (title, place) in enumerate(PANELS):
        left, bottom = MARGIN + number * (size + GAP), 40 + size
        corners = [place(0, 0), place(COLUMNS - 1, ROWS - 1)]
        low, high = (min(c) for c in zip(*corners, strict=True)), (max(c) for c in zip(*corners, strict=True))
        (y0, z0), (y1, z1) = tuple(low), tuple(high)
        beam = place(*BEAM)
        x, y = left + beam[0] * SCALE, bottom - beam[1] * SCALE
        parts += [
            f'<text x="{left:.0f}" y="28">{title}</text>',
            f'<rect x="{left:.1f}" y="{bottom - size:.1f}" width="{size:.1f}" height="{size:.1f}" fill="#eee" '
            'stroke="#999" stroke-dasharray="4 3"/>',
            f'<rect x="{left + y0 * SCALE:.1f}" y="{bottom - (z1 + 1) * SCALE:.1f}" '
            f'width="{(y1 - y0 + 1) * SCALE:.1f}" height="{(z1 - z0 + 1) * SCALE:.1f}" fill="#9ecae1" stroke="#333"/>',
            f'<path d="M{x - 6:.1f} {y:.1f}h12M{x:.1f} {y - 6:.1f}v12" stroke="#c00" stroke-width="2"/>',
            f'<text x="{x + 8:.1f}" y="{y - 6:.1f}" fill="#c00">BC {beam[0]} {beam[1]}</text>',
            f'<text x="{left:.0f}" y="{bottom + 18:.0f}">columns {y0} … {y1}, rows {z0} … {z1}</text>',
        ]
    parts += [
        f'<text x="{MARGIN}" y="{height - 20:.0f}">blue: the {COLUMNS} x {ROWS} pixels of the detector; grey: padding '
        f"of the square of {SIDE} x {SIDE}; row 0 is at the bottom</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(), encoding="utf-8")
