# Needs make and Python 3.11 or later with venv; everything else is installed into .venv on demand.

PYTHON ?= python3
TORCH ?= torch==2.13.0
# PyTorch's own wheels for CPUs: on Linux those of PyPI bring several GB of CUDA libraries. Empty: do not ask it.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# GPU=1 installs the build of torch with CUDA (into a new .venv: a torch that is there is kept).
GPU ?=

# How many processes share the tests, a file of tests to each.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Those that need genomes or tracks of yours are not run by `make bench`; each says what with --help.
NEED_DATA := $(addprefix benchmarks/,calibration.py check_track.py core_promoters.py deeptools_golden.py explorer_images.py heldout.py results.py)
BENCHMARKS := $(filter-out benchmarks/_% $(NEED_DATA),$(wildcard benchmarks/*.py))
# What `make results` reads: the folder of the fixed split, or a genome with its annotation.
MODEL ?= default
DATA ?= $(LDARNET_SHARED)/data
GENOME ?=
ANNOTATION ?=

ifeq ($(shell uname -s)$(GPU),Linux)
INDEX := $(TORCH_INDEX)
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-bits test-gpu lint docs wheel bench results clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Variables: PYTHON=$(PYTHON)  GPU=1 (torch with CUDA)  TORCH_INDEX= (PyPI only)  JOBS=$(JOBS)  MODEL=$(MODEL)"

demo: $(VENV)/.core ## boundary track of a small demo genome, into demo/
	$(BIN)/ldarnet demo --out demo

test: $(VENV)/.dev ## the tests that take seconds each
	$(BIN)/pytest -n $(JOBS) --dist loadfile

test-slow: $(VENV)/.dev ## the tests that take minutes
	$(BIN)/pytest -m slow

test-bits: $(VENV)/.dev ## kernels compiled anew give the bits of those kept on disk
	$(BIN)/pytest -m slow -k fresh_and_cached

test-gpu: $(VENV)/.dev ## the tests that need a CUDA device (GPU=1)
	$(BIN)/pytest -m gpu

lint: $(VENV)/.dev ## style, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs ## the site, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

wheel: $(VENV)/.core ## wheel and sdist, into dist/
	$(PIP) install --quiet 'build>=1.2'
	$(BIN)/python -m build

bench: $(VENV)/.dev ## every benchmark; each prints a table, then one line of JSON
	@test -n "$(BENCHMARKS)" || { echo "make bench: no benchmark found, expected benchmarks/*.py" >&2; exit 1; }
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

results: $(VENV)/.dev ## tracks and analyses, into results/ (MODEL= GENOME= ANNOTATION=, or DATA= of the fixed split)
	$(BIN)/python benchmarks/results.py --out results --model $(MODEL) \
	  $(if $(GENOME),--genome $(GENOME) --annotation $(ANNOTATION),--data $(DATA))

clean: ## remove demo/, builds and caches; .venv stays (rm -rf .venv starts anew)
	rm -rf demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: expected Python 3.11 or later, got $$($(PYTHON) --version 2>&1);" \
	    "name another one, for example: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "make: $(PYTHON) -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# pip retries for minutes where a firewall swallows the CPU index, so one quick look decides whether to name it.
$(VENV)/.torch: $(VENV)/.python
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo "keeping the torch that is installed"; \
	elif [ -z "$(INDEX)" ]; then \
	  $(PIP) install "$(TORCH)"; \
	elif $(BIN)/python -c 'import urllib.request as u; u.urlopen("$(INDEX)/torch/", timeout=3)' 2>/dev/null; then \
	  $(PIP) install --extra-index-url "$(INDEX)" "$(TORCH)"; \
	else \
	  echo "make: no answer from $(INDEX); installing the default build of $(TORCH)"; \
	  $(PIP) install "$(TORCH)"; \
	fi
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml
	$(PIP) install -e .
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	$(PIP) install -e '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) install -e '.[dev]'
	@touch $@
