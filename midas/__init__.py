"""Far-field high-energy X-ray diffraction microscopy: raw detector frames in, grain maps out.

``midas.run("ps.txt", "scan.h5", result_folder="results")`` is ``ff-midas`` from Python; the stages are functions of
their own in `midas.stages`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from midas._version import __version__

if TYPE_CHECKING:
    from midas.formats.layer import StageResult

__all__ = ["__version__", "run"]


def run(
    parameter_file: str | os.PathLike[str] | None = None,
    data_file: str | os.PathLike[str] | None = None,
    *,
    result_folder: str | os.PathLike[str] = ".",
    threads: int | None = None,
    layers: tuple[int, int] = (1, 1),
    convert: bool = True,
    peak_search: bool = True,
    peak_search_only: bool = False,
    frame_chunks: int = -1,
    threshold: int = -1,
    raw_folder: str | os.PathLike[str] | None = None,
    grains_file: str | os.PathLike[str] | None = None,
    per_spot_groups: int = -1,
    report: bool = False,
) -> StageResult:
    """Run the whole pipeline, as ``ff-midas`` does, and return what it found.

    Parameters
    ----------
    parameter_file : not needed for an archive, which holds its own parameters
    data_file : raw data or a ``.MIDAS.zip``; by default the raw file that the parameter file names
    result_folder : every layer gets a folder ``LayerNr_<n>`` in it
    threads : by default one for every core that the process may use
    layers : the first and the last one
    convert : False: the archive exists, as `data_file` or in the layer folder
    peak_search : False: use the peaks that are in the layer folder
    peak_search_only : stop after the peak search
    frame_chunks, threshold : of the conversion; -1 = as many frames at a time as is good, no threshold
    raw_folder : replaces RawFolder, and the folder of Dark, of the parameter file
    grains_file : a ``Grains.csv``: find its grains instead of searching
    per_spot_groups : groups per spot in the consolidated HDF5: 1 always, 0 never, -1 up to 5000 spots
    report : also write a web page about the grains

    Returns
    -------
    StageResult whose data is a list of `midas.pipeline.FinishedLayer`: number, paths of all files, and the tables of
    Grains.csv and SpotMatrix.csv

    Raises
    ------
    MidasError : one line that says what is wrong with the input, where, and what to do about it

    Examples
    --------
    >>> result = midas.run("ps.txt", "scan.h5", result_folder="results", threads=8)  # doctest: +SKIP
    >>> result.data[0].grains["GrainRadius"]  # doctest: +SKIP
    """
    from midas import pipeline
    from midas.commands.driver import absolute
    from midas.runtime.errors import UsageError
    from midas.runtime.parallel import thread_count

    if parameter_file is None and data_file is None:
        raise UsageError("a parameter file or a data file is needed")
    first, last = layers
    if not 1 <= first <= last:
        raise UsageError("must be two numbers, at least 1 and not falling", key="layers", value=layers)
    return pipeline.run(
        pipeline.Options(
            parameter_file=None if parameter_file is None else absolute(parameter_file),
            data_file="" if data_file is None else str(absolute(data_file)),
            result_folder=absolute(result_folder),
            threads=thread_count(threads),
            first_layer=first,
            last_layer=last,
            convert=convert,
            peak_search=peak_search,
            peak_search_only=peak_search_only,
            frame_chunks=frame_chunks,
            threshold=threshold,
            raw_folder="" if raw_folder is None else str(absolute(raw_folder)),
            grains_file=None if grains_file is None else absolute(grains_file),
            per_spot_groups=per_spot_groups,
            report=report,
        )
    )
