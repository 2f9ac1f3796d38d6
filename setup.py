"""Build of the Cython kernels; everything else about the package is in pyproject.toml.

Switches (environment variables):

``MIDAS_CHECKED=1``  bounds checks in every kernel, for tests; off in a release build.
``MIDAS_NATIVE=1``   code for the processor of this machine (``-march=native``); the result does not run elsewhere.
``MIDAS_SANITIZE=NAMES`` kernels that report wrong accesses to memory, undefined operations, or races of threads
                     (``tests/sanitize/run``).
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy
from Cython import __version__ as cython_version
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = sorted(Path("midas/_ext").rglob("*.pyx"))
CHECKED = os.environ.get("MIDAS_CHECKED") == "1"
NATIVE = os.environ.get("MIDAS_NATIVE") == "1"
SANITIZE = os.environ.get("MIDAS_SANITIZE", "")

# No contraction into fused multiply-adds and no -ffast-math: the same input must give the same bytes on every machine.
# -fno-math-errno and -fno-trapping-math change no result, they let the compiler vectorise square roots and selections.
COMPILE = "-O3 -g0 -fopenmp -ffp-contract=off -fno-math-errno -fno-trapping-math -Wno-unused-function".split()
LINK = ["-fopenmp"]
if NATIVE:
    COMPILE.append("-march=native")
if platform.machine() in ("x86_64", "AMD64"):
    # Where the processor has fused operations, gcc's vectoriser makes one of a b ± c d in spite of -ffp-contract=off.
    COMPILE += ["-mno-fma", "-mno-avx512f"]
if SANITIZE:
    COMPILE += [f"-fsanitize={SANITIZE}", "-O1", "-g1", "-fno-omit-frame-pointer", "-ftrapping-math"]
    LINK.append(f"-fsanitize={SANITIZE}")

#: Cython's own code for memoryviews, compiled once instead of in every kernel: a third of the build time
SHARED = "midas._ext._memoryview"
BUILD = Path("build") / f"cython-{cython_version}"


def extension(name: str, source: Path) -> Extension:
    return Extension(
        name,
        [str(source)],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
        libraries=["m"],  # or the kernels would load only into a python that happens to bring sin and exp along
    )


def shared_extension() -> Extension:
    source = BUILD / (SHARED.replace(".", "/") + ".c")
    if not source.exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "cython", f"--generate-shared={source}"], check=True)
    return extension(SHARED, source)


extensions = [extension(".".join(path.with_suffix("").parts), path) for path in KERNELS]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir=str(BUILD),
        nthreads=os.cpu_count() or 1,
        shared_utility_qualified_name=SHARED,
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "freethreading_compatible": False,
        },
    )
    + [shared_extension()],
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
