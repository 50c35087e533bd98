# Every target builds .venv by itself; nothing has to be installed by hand but Python (3.10 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
export nnUNet_def_n_proc ?= 2
export nnUNet_n_proc_DA ?= 1

.PHONY: install check format test test-slow coverage demo bench docs release clean

install: .venv/installed

.venv/installed: setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test,dev]'
	touch $@

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --allow-untyped-defs tests

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each file of tests in one of two processes: make test [PROCESSES=N]
test: PROCESSES ?= 2
test: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(PROCESSES) --dist loadfile

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

# Which lines the fast tests run, in this process; fails below the floor in pyproject.toml
coverage: .venv/installed
	$(BIN)/python -m pytest -m "not slow" --cov --cov-report=term-missing

# From images to a result on patients who lack a sequence, in about ten minutes: make demo [WORK=FOLDER]
demo: WORK ?= demo
demo: .venv/installed
	$(BIN)/python -m benchmarks.demo $(WORK)

# Real gliomas: make bench GLIOMAS=FOLDER [WORK=FOLDER]
bench: WORK ?= bench
bench: .venv/installed
	@test -n "$(GLIOMAS)" || { echo "Name the folder above the BraTS cases: make bench GLIOMAS=FOLDER"; exit 2; }
	$(BIN)/python -m benchmarks.gliomas $(GLIOMAS) $(WORK)

# The documentation site, in site/; with Python 3.11 or newer
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

# Source and wheel in dist/, the wheel checked in an empty environment; the version is set by hand in setup.py, CITATION.cff and CHANGELOG.md
release: .venv/installed
	rm -rf build dist .venv-wheel
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet "$$(ls dist/*.whl)[phantom]"
	.ci/wheel .venv-wheel/bin

clean:
	rm -rf .venv .venv-wheel build dist site *.egg-info
