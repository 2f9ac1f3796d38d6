"""The maximum image with the predicted rings as a PNG, drawn with Pillow."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from midas.diagnosis.look.findings import Look

#: longest side of the picture, px
_SIDE = 1000
_GIVEN, _OTHER, _CENTRE = (255, 120, 40), (80, 140, 220), (90, 220, 90)


def display_image(look: Look, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image as an observer sees it who looks downstream: z up, columns (towards −y) to the right; NaN = nothing.

    Returns
    -------
    (N, N) of the square, first row on top
    """
    size = max(image.shape)
    shown = np.full((size, size), np.nan, np.float32)
    valid = look.where.valid
    shown[size - 1 - look.where.z_px[valid], look.where.y_px[valid]] = image[valid]
    return shown


def reduced(image: NDArray[np.float32], side: int) -> tuple[NDArray[np.float32], int]:
    """The largest of each block of pixels, and the side of the blocks, so that no peak is lost in a small picture."""
    step = -(-len(image) // side)
    size = -(-len(image) // step) * step
    padded = np.full((size, size), -np.inf, np.float32)
    padded[: len(image), : len(image)] = np.nan_to_num(image, nan=-np.inf)
    blocks = padded.reshape(size // step, step, size // step, step).max(axis=(1, 3))
    blocks[np.isneginf(blocks)] = np.nan
    return blocks, step


def grey(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Brightness: the logarithm of the counts above the dark quarter of the pixels; 0 where there is no pixel."""
    known = image[np.isfinite(image)]
    if not known.size:
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(known, [25, 99.95])
    shown = np.log1p(np.clip(np.nan_to_num(image, nan=low) - low, 0, max(high - low, 1)))
    brightness: NDArray[np.uint8] = (255 * shown / max(float(shown.max()), 1e-9)).astype(np.uint8)
    return brightness


def png(look: Look) -> bytes:
    """The picture: brightness is the logarithm; rings of RingThresh orange, other rings blue, the beam centre green."""
    small, step = reduced(display_image(look, look.seen.maximum), _SIDE)
    picture = Image.fromarray(grey(small)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    size = max(look.seen.mean.shape)
    for ring in look.ring_lines():
        points = list(zip((ring.y_px / step).tolist(), ((size - 1 - ring.z_px) / step).tolist(), strict=True))
        draw.line(points, fill=_GIVEN if ring.is_asked_for else _OTHER, width=1)
    across, down = look.detector.y_bc / step, (size - 1 - look.detector.z_bc) / step
    draw.line([(across - 8, down), (across + 8, down)], fill=_CENTRE)
    draw.line([(across, down - 8), (across, down + 8)], fill=_CENTRE)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()
