# Everything a newcomer needs: `make demo` and `make test` start from a bare machine with python3 (venv) and make.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
STAMP  := $(VENV)/.installed

# albumentations asks PyPI for a newer version of itself on import; this tells it not to.
export NO_ALBUMENTATIONS_UPDATE := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all test-odd soak lint format dist test-wheel lock licences clean
.DELETE_ON_ERROR:

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install maskcls with its tools into it; nothing to do the second time

$(STAMP): requirements.txt pyproject.toml
	@test -x $(BIN)/pip || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "maskcls needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
		echo "fix: install a newer one and name it, for instance: make install PYTHON=python3.12" >&2; \
		exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV). The first time takes some minutes: on Linux torch brings about 5.5 GB of CUDA libraries."
	@$(PIP) install --requirement requirements.txt
	@$(PIP) install --no-deps --editable .
	@touch $(STAMP)
	@echo "Installed."

demo: $(STAMP) ## the whole story on drawn faces: data, folds, training, submission, score
	@$(BIN)/maskcls demo

.PHONY: docs
docs: $(STAMP) ## the documentation as a site, in build/site; needs no network
	@$(BIN)/python docs/gather.py
	@$(BIN)/zensical build --clean --strict
	@echo "Open build/site/index.html in a browser."

# Tests never reach for the network, and neither do the processes they start.
test test-all test-odd: export HF_HUB_OFFLINE := 1
# Where this variable is set, every process compiles all test files anew, which takes 14 s; empty, it means nothing.
test test-all test-odd: export PYTHONDONTWRITEBYTECODE :=

test: $(STAMP) ## the fast tests
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-all: $(STAMP) ## every test, the slow recipes too
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m ""

# A test may not depend on rounding, on the kernels a processor gets, on the number of threads or on the order of the
# tests. Other settings of the same three variables, and other seeds, are worth a try when a test fails somewhere else.
ODD := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OMP_NUM_THREADS=2
SEED ?= 1
# All test files, or the first, second or third third of them: 1/3, 2/3, 3/3; see tests/file_part.py.
PART ?= all

test-odd: $(STAMP) ## the fast tests on plain kernels, with two threads, in random order (SEED=1; PART=1/3: a third)
	@$(ODD) $(BIN)/python -m pytest --numprocesses auto --dist loadfile --random-order --random-order-seed=$(SEED) \
		--part=$(PART)

# Part of the full counts. SEED is the one above; a failure prints the command that repeats it.
SOAK ?= 1

soak: $(STAMP) ## random kills, crash points, flipped bits, mutated files, command lines (SOAK=0.05: a twentieth; SEED=1)
	@$(BIN)/python -m soak --share $(SOAK) --seed $(SEED)

# Tests that only read the source take seconds, and find what a last change of a comment or a name can break.
SOURCE_TESTS := tests/test_docs.py tests/test_names.py tests/test_layers.py tests/test_forbidden.py

lint: $(STAMP) ## ruff, its formatter in check mode, mypy, and the tests of words, names and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest --quiet $(SOURCE_TESTS)

format: $(STAMP) ## sort imports, apply safe fixes, format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

dist: $(STAMP) ## build the sdist and the wheel into dist/
	@rm -rf dist
	@$(BIN)/python -m build --quiet --outdir dist . >/dev/null
	@ls dist

# The environment is bare: only what the wheel asks for, in the tested versions, and no checkout on the path. The demo
# runs without an extra; then the extra `report` is installed, and the page of the demo's run is written.
BARE := build/bare

test-wheel: dist ## check the contents of dist/, install the wheel into a bare environment, run the demo and report on it there
	@$(BIN)/python tests/packaging/contents.py dist
	@$(BIN)/python -m build --quiet --wheel --outdir build/direct . >/dev/null
	@$(BIN)/python tests/packaging/same_files.py dist/*.whl build/direct/*.whl
	@rm -rf $(BARE) && $(PYTHON) -m venv $(BARE)
	@$(BARE)/bin/python -m pip --quiet --disable-pip-version-check install --constraint requirements.txt dist/*.whl
	@mkdir $(BARE)/elsewhere
	@cd $(BARE)/elsewhere && ../bin/maskcls --version && ../bin/maskcls demo
	@$(BARE)/bin/python -m pip --quiet --disable-pip-version-check install --constraint requirements.txt "$$(ls dist/*.whl)[report]"
	@cd $(BARE)/elsewhere && ../bin/maskcls report demo/runs/demo-1
	@cd $(BARE)/elsewhere && ../bin/python -c 'import maskcls, pathlib; print(pathlib.Path(maskcls.__file__).parent)'
	@rm -rf build

LOCK := $(BIN)/uv pip compile --quiet --no-annotate --generate-hashes --python-version 3.11
LOCK += --python-platform x86_64-manylinux_2_28 --custom-compile-command 'make lock' --constraint requirements.txt

lock: $(STAMP) ## write requirements.lock.txt: hashes of what a run needs, with the extras export, jobs, parquet, report, serve, tune
	@$(LOCK) --extra export --extra jobs --extra parquet --extra report --extra serve --extra tune pyproject.toml --output-file requirements.lock.txt
	@echo "requirements.lock.txt: $$(grep -c == requirements.lock.txt) packages"

licences: $(STAMP) ## write docs/licences.md: the licences of the packages that a run needs
	@$(BIN)/python tests/packaging/licences.py > docs/licences.md

clean: ## remove .venv and caches; runs/ and data/ stay
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find maskcls tests -name __pycache__ -type d -prune -exec rm -rf {} +
