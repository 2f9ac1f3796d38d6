import numpy as np
from numpy.typing import NDArray

def brightest_pixel(
    offsets: NDArray[np.int64],
    hor: NDArray[np.float64],
    vert: NDArray[np.float64],
    amplitude: NDArray[np.float32],
    sigma: float,
    integrate: bool,
    canvases: NDArray[np.float32],
) -> float: ...
def draw_spots(
    canvas: NDArray[np.float32],
    hor: NDArray[np.float64],
    vert: NDArray[np.float64],
    amplitude: NDArray[np.float32],
    sigma: float,
    integrate: bool,
) -> None: ...
def clear_spots(
    canvas: NDArray[np.float32], hor: NDArray[np.float64], vert: NDArray[np.float64], sigma: float
) -> None: ...
def count_spots(
    canvas: NDArray[np.float32],
    image: NDArray[np.uint16],
    hor: NDArray[np.float64],
    vert: NDArray[np.float64],
    sigma: float,
    scale: float,
    largest: float,
    background: float,
    nearest: bool,
) -> None: ...
