"""The image of pixels not to use (docs/theory/archive.md#mask)."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from midas.convert.frame_headers import NO_MOTOR
from midas.convert.readers import CBF, EDF, format_of, open_source, tiff
from midas.convert.source import Reading, made
from midas.runtime import logs
from midas.runtime.apart import apart
from midas.runtime.errors import FormatError, one_line

log = logging.getLogger(__name__)


def read_mask(path: Path, shape: tuple[int, int], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """A mask of one plane, 1 where the image is anything else than 0, in the type of the pixels.

    Parameters
    ----------
    path : one grey image, as TIFF, EDF or CBF: whole numbers, bits, or floats, of which NaN masks as well. The numbers
        in the file count, not the brightness that a viewer gives them: tifffile labels images of bits as white for 0.
    shape : rows and columns of the raw frames
    dtype : of the mask that is returned

    Raises
    ------
    FormatError : the file is missing, no such image, incomplete, or of another size.
    """
    if not path.is_file():
        raise FormatError("is missing", file=path, key="MaskFN")
    image = _frame(path, shape) if format_of(path) in (CBF, EDF) else apart(partial(_tiff, path, shape), path)
    masked: NDArray[np.bool_] = image != 0
    if 2 * (count := np.count_nonzero(masked)) > masked.size:
        log.warning("%s: MaskFN: masks %d of %d pixels; is it inverted? 0 = valid", path, count, masked.size)
    return masked.astype(dtype)[np.newaxis]


def _frame(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    """The only image of a file of another raw format."""
    source = open_source(path, Reading(motor=NO_MOTOR))
    if source.shape != (1, *shape):
        raise FormatError(f"has {source.shape} pixels, a mask is one image of {shape}", file=path, key="MaskFN")
    return made(next(iter(source.frames())))


def _tiff(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    try:
        return _image(path, shape)
    except FormatError:
        raise
    except tifffile.TiffFileError as error:
        reason = f"is no TIFF image ({one_line(error)}); save the mask as TIFF"
    except MemoryError:
        reason = "needs more memory than a file of its size may ask for; it is damaged"
    except Exception as error:  # the library has many exceptions, the file is at fault in each
        reason = f"cannot be read as a TIFF image ({one_line(error)})"
    raise FormatError(reason, file=path, key="MaskFN")


def _image(path: Path, shape: tuple[int, int]) -> NDArray[np.generic]:
    with logs.muted("tifffile"), tifffile.TiffFile(path) as file:  # what it logs is in the error, or does not matter
        if len(file.pages) != 1:
            reason = f"holds {len(file.pages)} images; a mask is a single one"
            raise FormatError(reason, file=path, key="MaskFN")
        page = file.pages.first
        if reason := _unfit(page, shape) or tiff.incomplete(page, path.stat().st_size):
            raise FormatError(reason, file=path, key="MaskFN")
        image: NDArray[np.generic] = np.asarray(page.asarray())
        return image


def _unfit(page: tifffile.TiffPage, shape: tuple[int, int]) -> str:
    """What keeps an image from being a mask of frames of this shape; its pixels are not read yet."""
    if reason := tiff.unfit(page) or tiff.too_much(page, page.parent.filehandle.size):
        return reason
    return "" if page.shape == shape else f"has {page.shape} pixels, the frames have {shape} (rows, columns)"
