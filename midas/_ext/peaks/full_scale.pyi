from typing import Final

FULL_SCALES: Final[tuple[float, ...]]
