"""The image of pixels not to use (spec chapter 01 §4.3.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from midas.runtime.errors import FormatError


def read_mask(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A mask of one plane, 1 where the image is not 0, in the type of the pixels."""
    if not path.is_file():
        raise FormatError("is missing", file=path, key="MaskFN")
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            image = np.asarray(tifffile.imread(path))
        else:
            with Image.open(path) as opened:
                image = np.asarray(opened)
    except Exception as error:  # the libraries have many exceptions, the file is at fault in each
        raise FormatError(f"cannot be read as an image ({error})", file=path, key="MaskFN") from None
    image = image.reshape(image.shape[1:]) if image.ndim == 3 and len(image) == 1 else image
    if image.shape != shape:
        reason = f"has {image.shape} pixels, the frames have {shape} (rows, columns)"
        raise FormatError(reason, file=path, key="MaskFN")
    return (image != 0).astype(dtype)[np.newaxis]
