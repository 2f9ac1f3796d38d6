"""Build of the Cython kernels; everything else about the package is in pyproject.toml.

Switches (environment variables):

``MIDAS_CHECKED=1``  bounds checks in every kernel, for tests; off in a release build.
``MIDAS_NATIVE=1``   code for the processor of this machine (``-march=native``); the result does not run elsewhere.
"""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = sorted(Path("midas/_ext").glob("*.pyx"))
CHECKED = os.environ.get("MIDAS_CHECKED") == "1"
NATIVE = os.environ.get("MIDAS_NATIVE") == "1"

# No contraction into fused multiply-adds and no -ffast-math: the same input must give the same bytes on every machine.
# -fno-math-errno and -fno-trapping-math change no result, they let the compiler vectorise square roots and selections.
COMPILE = "-O3 -g0 -fopenmp -ffp-contract=off -fno-math-errno -fno-trapping-math -Wno-unused-function".split()
if NATIVE:
    COMPILE.append("-march=native")

extensions = [
    Extension(
        f"midas._ext.{path.stem}",
        [str(path)],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=COMPILE,
        extra_link_args=["-fopenmp"],
    )
    for path in KERNELS
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        nthreads=os.cpu_count() or 1,
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "freethreading_compatible": False,
        },
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
