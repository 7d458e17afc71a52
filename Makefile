# A fresh machine needs Python 3.11 and make; everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PHOTO ?= data/samples/person.jpg
OUT ?= runs/demo
PYTHON_FOLDERS := toolkit tools experiments benchmarks tests notebooks/py

.PHONY: help setup demo test lint notebooks notebooks-gpu pictures clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 16

setup: .venv/.stamp  ## make .venv and install the package into it

demo: .venv/.stamp  ## one photo to an animatable avatar: PHOTO=... OUT=...
	$(BIN)/python -m toolkit avatar "$(PHOTO)" --out "$(OUT)"

test: .venv/.stamp  ## run all tests, notebooks included, on the CPU
	$(BIN)/python -m pytest

lint: .venv/.stamp  ## ruff, linter and formatter, over every folder with Python in it
	$(BIN)/ruff check $(PYTHON_FOLDERS)
	$(BIN)/ruff format --check $(PYTHON_FOLDERS)

notebooks: .venv/.stamp  ## run every notebook (embedded profile) and store its outputs
	$(BIN)/python -m tools.upkeep.notebooks --write

notebooks-gpu: .venv/.stamp  ## run every notebook with the full profile; fails without a GPU
	$(BIN)/python -m tools.upkeep.notebooks --profile notebooks/profiles/full.yaml --require-gpu --keep runs/notebooks-gpu --timeout 7200

pictures: .venv/.stamp  ## rebuild the pictures in docs/img
	$(BIN)/python -m tools.upkeep.pictures

clean:  ## remove .venv, caches and runs/
	rm -rf .venv runs .pytest_cache .ruff_cache toolkit.egg-info

# The stamp is written last, so an install that was interrupted starts again. Python compiles what
# it imports; compiling every file of 180 packages beforehand would only delay the start.
.venv/.stamp: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed; give it with PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev,scale]'
	touch $@
