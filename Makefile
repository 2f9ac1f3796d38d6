PYTHON ?= python3

.PHONY: build test lint sanitize bench fuzz kills processors docs clean

build:  ## compile the kernels in place (MIDAS_CHECKED=1: bounds checks; MIDAS_NATIVE=1: for this processor only)
	$(PYTHON) setup.py build_ext --inplace

test:
	$(PYTHON) -m pytest

lint:
	ruff check .
	ruff format --check .
	mypy
	cython-lint midas/_ext

sanitize:  ## the tests with kernels that report every wrong access, and every race of two threads
	PYTHON=$(PYTHON) tests/sanitize/run memory
	PYTHON=$(PYTHON) tests/sanitize/run threads

bench:  ## every benchmark prints ratios to a calibration kernel of the same run
	for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(PYTHON) $$script || exit 1; done

COUNT ?= 20000
fuzz:  ## COUNT mutated inputs for every target; what is found is kept in tests/fuzz/corpus
	$(PYTHON) -m tests.fuzz all --count $(COUNT)

KILLS ?= 100
kills:  ## so many runs that are killed at any moment and gone on with
	$(PYTHON) -m tests.reliability.kills --count $(KILLS)

docs:  ## the parameter reference from the one table, then HTML in build/docs; every warning is an error
	$(PYTHON) -m midas.parameters > docs/parameters.md
	rm -rf docs/api
	$(PYTHON) -m sphinx -W --keep-going -q -d build/doctrees docs build/docs

processors:  ## the same bytes without FMA and AVX, with other linear algebra, and with kernels for another processor
	$(PYTHON) -m tests.reliability.processors --march x86-64-v3

clean:
	rm -rf build docs/api; find midas/_ext -name '*.so' -delete
