# The words a newcomer needs: make run, make test. Everything installed for Tocsin itself goes into .venv;
# the real servers that the tests talk to come from Debian's packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONUNBUFFERED := 1
# Numeric libraries start one thread a core unless told otherwise; beside pytest-xdist that is slower than one.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

.PHONY: help setup run test check lint bench soak servers docs clean

help:  ## what each word does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev -e '.[postgres]'
	touch $@

setup: $(VENV)/ready  ## make .venv with everything for running and testing

run: setup  ## start Tocsin on 127.0.0.1:8000, watching this machine
	$(BIN)/tocsin serve $(ARGS)

servers: setup  ## the real servers for the tests, from Debian's packages
	@sh scripts/test-servers.sh

check: setup  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check servers  ## check, then every test, against real servers
	$(BIN)/python -m pytest -n 2 --dist loadgroup --ignore tests/api/test_schema.py
	$(BIN)/python -m pytest tests/api/test_schema.py  # its tests share one name, of which xdist would run one

bench: setup servers  ## measure speed and memory; figures as ratios in one run
	$(BIN)/python -m benchmarks $(ARGS)

soak: setup  ## ten minutes under load and random faults: nothing misjudged, memory and descriptors come back
	$(BIN)/python -m benchmarks.soak --minutes 10 --faults

docs: setup  ## write the generated reference pages anew
	$(BIN)/python -m scripts.reference

clean:  ## remove what was built here
	rm -rf $(VENV) .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
