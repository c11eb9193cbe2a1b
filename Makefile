# ddlab: set up, demonstrate, test. `make help` lists the targets. Another Python beside: make VENV=.venv313 PYTHON=python3.13 test
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types contract check format test-isa test-slow test-torch golden bench reference wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with ddlab and its development tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ddlab needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## run the quickstart sweep and draw its two figures
	$(BIN)/ddlab sweep quickstart
	$(BIN)/ddlab report quickstart

# Each of two workers takes one half of the tests, so that what a file shares is mostly made once, and helps the other at the end.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

test: setup ## run the tests
	$(PYTEST)

lint: setup ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## check types
	$(BIN)/mypy

contract: setup ## check that imports point one way
	$(BIN)/lint-imports

check: lint types contract test ## everything that CI checks

format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Instruction set of XLA's programs, and the kernels of OpenBLAS that such a processor would take.
ISAS := SSE4_2:Nehalem AVX2:Haswell

test-isa: setup ## the numeric tests as on x86 processors with SSE4.2 and with AVX2, and on this machine as it is
	@for isa in $(ISAS); do \
	  XLA_FLAGS="$$XLA_FLAGS --xla_cpu_max_isa=$${isa%:*}" OPENBLAS_CORETYPE=$${isa#*:} $(PYTEST) -m 'numeric and not torch' || exit 1; \
	done
	$(PYTEST) -m 'numeric and not torch'

test-slow: setup ## the tests that take minutes: fuzz, twins, damage, kills of a running sweep, workers, every sweep tiny
	$(BIN)/python -m pytest -m slow

test-torch: setup ## PyTorch against the stored trajectories (installs the bench extra)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m pytest -m torch

golden: setup ## make the stored numbers of PyTorch anew
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python tests/reference/torch_trajectories.py
	$(BIN)/python -m tests.reference.torch_networks

bench: setup ## ddlab against PyTorch and JAX loops (about an hour; BENCH="1 3": some of them)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m tests.benchmarks.bench $(BENCH)

reference: setup ## train the shipped sweeps and store their metrics, small, in results/reference (about 15 minutes)
	@for sweep in $$(basename -s .yaml sweeps/*.yaml); do \
	  $(BIN)/ddlab sweep $$sweep out=results/full/$$sweep && \
	  $(BIN)/python tests/reference/compact.py results/full/$$sweep results/reference/$$sweep || exit 1; \
	done

wheel: setup ## build a wheel in dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what was built (not results)
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
