# make study   set-up, then the main job on the embedded corpus; ends with the path of report.html
# make test    set-up, then linters, types and the whole test suite
# make setup   prepares .venv in the checkout

PYTHON ?= python3
BIN := .venv/bin
OUT ?= study
BUDGET ?= 10m

.PHONY: setup study demo test lint clean
.DELETE_ON_ERROR:

setup: .venv/.studying

study: .venv/.studying
	$(BIN)/scalescope study --out $(OUT) --budget $(BUDGET)

demo: .venv/.studying
	$(BIN)/scalescope demo

test: .venv/.testing lint
	$(BIN)/python -m pytest -n auto --dist loadgroup

lint: .venv/.testing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist src/*.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scalescope needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/.studying: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

.venv/.testing: .venv/.studying
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	touch $@
