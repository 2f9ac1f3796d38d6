"""Files of VTK, which ParaView and DAMASK read: XML with binary arrays (docs/exports.md#paraview)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

_TYPES = {"f8": "Float64", "f4": "Float32", "i8": "Int64", "i4": "Int32", "u1": "UInt8"}


def data_array(name: str, values: Array, components: tuple[str, ...] = ()) -> str:
    """An array as an element of XML.

    Parameters
    ----------
    values : (n,) or (n, k)
    components : names of the k columns
    """
    values = np.ascontiguousarray(values)
    raw = values.tobytes()
    packed = zlib.compress(raw, 6)
    # Blocks, bytes of a block, bytes of a last shorter one, bytes of each when compressed.
    head = np.array([1, len(raw), 0, len(packed)] if raw else [0, 0, 0], "<u8").tobytes()
    attributes = f"type={quoteattr(_TYPES[values.dtype.str[1:]])} Name={quoteattr(name)}"
    attributes += f' NumberOfComponents="{values.shape[1] if values.ndim > 1 else 1}"'
    for number, component in enumerate(components):
        attributes += f" ComponentName{number}={quoteattr(component)}"
    content = base64.b64encode(head).decode() + (base64.b64encode(packed).decode() if raw else "")
    return f'<DataArray {attributes} format="binary">{content}</DataArray>\n'


def _file(kind: str, body: str, comment: str) -> bytes:
    remark = escape(comment).replace("--", "- -")
    return (
        f'<?xml version="1.0"?>\n<!--\n{remark}\n-->\n'
        f'<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" header_type="UInt64" '
        f'compressor="vtkZLibDataCompressor">\n{body}</VTKFile>\n'
    ).encode()


def points_file(
    points: NDArray[np.float64], data: Mapping[str, tuple[Array, tuple[str, ...]]], comment: str = ""
) -> bytes:
    """The content of a ``.vtp``: a vertex a point.

    Parameters
    ----------
    points : (n, 3)
    data : name to (n,) or (n, k) array and the names of its components
    """
    n = len(points)
    numbers = np.arange(n, dtype="<i8")
    arrays = "".join(data_array(name, values, components) for name, (values, components) in data.items())
    body = (
        f'<PolyData>\n<Piece NumberOfPoints="{n}" NumberOfVerts="{n}" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="0">\n<PointData>\n{arrays}</PointData>\n'
        f"<Points>\n{data_array('Points', points)}</Points>\n"
        f"<Verts>\n{data_array('connectivity', numbers)}{data_array('offsets', numbers + 1)}</Verts>\n"
        "</Piece>\n</PolyData>\n"
    )
    return _file("PolyData", body, comment)


def grid_file(
    shape: tuple[int, int, int],
    origin: NDArray[np.float64],
    spacing: float,
    data: Mapping[str, Array],
    comment: str = "",
) -> bytes:
    """The content of a ``.vti``: cubic voxels.

    Parameters
    ----------
    shape : voxels along x, y, z
    data : name to values, one a voxel, x fastest
    """
    extent = " ".join(f"0 {count}" for count in shape)
    at = " ".join(repr(float(x)) for x in origin)
    step = " ".join([repr(float(spacing))] * 3)
    arrays = "".join(data_array(name, np.ravel(values)) for name, values in data.items())
    body = (
        f'<ImageData WholeExtent="{extent}" Origin="{at}" Spacing="{step}">\n<Piece Extent="{extent}">\n'
        f"<PointData></PointData>\n<CellData>\n{arrays}</CellData>\n</Piece>\n</ImageData>\n"
    )
    return _file("ImageData", body, comment)
