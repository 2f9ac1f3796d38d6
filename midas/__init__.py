"""Far-field high-energy X-ray diffraction microscopy: raw detector frames in, grain maps out.

``midas.run("ps.txt", "scan.h5", result_folder="results")`` is ``ff-midas`` from Python; the stages are functions of
their own in `midas.stages`. ``midas.read_results("results/LayerNr_1")`` opens what it found.
"""

from __future__ import annotations

import os

from midas._version import __version__

# Not that of `typing`, which takes longer to import than the rest: a command hears Ctrl-C only after this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from midas.pipeline.layers import FinishedLayer
    from midas.results.reading import Results
    from midas.runtime.result import StageResult

__all__ = ["__version__", "read_results", "run"]


def read_results(path: str | os.PathLike[str], *, archive: str | os.PathLike[str] | None = None) -> Results:
    """Open the results of a layer: grains, spots, peaks, parameters; each table is read when it is asked for.

    Parameters
    ----------
    path : a layer folder, a consolidated HDF5 file (of midas or of the legacy programs), or a grain list
    archive : with the frames; by default the one in the folder, or below that of the file, if there is just one

    Raises
    ------
    MidasError : one line that says what is wrong with the file, and what to do about it

    Examples
    --------
    >>> results = midas.read_results("results/LayerNr_1")  # doctest: +SKIP
    >>> results.grains["radius"].mean(), results[42].spots["omega"]  # doctest: +SKIP
    """
    from midas.results import reading

    return reading.read_results(path, archive=archive)


def run(
    parameter_file: str | os.PathLike[str] | None = None,
    data_file: str | os.PathLike[str] | None = None,
    **options: object,
) -> StageResult[list[FinishedLayer]]:
    """Run the whole pipeline, as ``ff-midas`` does, and return what it found.

    Parameters
    ----------
    parameter_file : not needed for an archive, which holds its own parameters
    data_file : raw data or a ``.MIDAS.zip``; by default the raw file that the parameter file names
    options : the fields of `midas.pipeline.options.Options`, which are the options of ``ff-midas``: result_folder,
        threads, first_layer, last_layer, convert, peak_search, peak_search_only, ...

    Returns
    -------
    StageResult whose data is a list of `midas.pipeline.layers.FinishedLayer`: number, paths of all files, and the
    tables of Grains.csv and SpotMatrix.csv

    Raises
    ------
    MidasError : one line that says what is wrong with the input, where, and what to do about it
    TypeError : for an option that there is not

    Examples
    --------
    >>> result = midas.run("ps.txt", "scan.h5", result_folder="results", threads=8)  # doctest: +SKIP
    >>> result.data[0].grains["GrainRadius"]  # doctest: +SKIP
    """
    from midas.pipeline import layers
    from midas.pipeline.options import Options
    from midas.runtime import provenance
    from midas.runtime.options import from_keywords

    given = {"parameter_file": parameter_file, "data_file": data_file, **options}
    asked = from_keywords(Options, given)
    values = {name: os.fspath(v) if isinstance(v, os.PathLike) else v for name, v in given.items() if v is not None}
    with provenance.called(f"midas.run({', '.join(f'{name}={value!r}' for name, value in values.items())})"):
        return layers.run(asked)
