# Two commands are enough: `make demo` and `make test`. Both set up .venv on first use.
PYTHON ?= python3
OUT ?= demo
# Processes that run the tests; each grows to 5 to 8 GB in a whole run.
WORKERS ?= 2
# A file's tests run in one process, files in the order of tests/conftest.py: the longest first.
PARALLEL = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Another one beside it for another interpreter: make check PYTHON=python3.13 VENV=.venv-3.13
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# A part of the tests for `make check`, as in TESTS=tests/unit/schema; all of them without.
TESTS ?=
INTERPRETERS ?= python3.11 python3.12 python3.13

.PHONY: help install demo demo-two-stage check check-interpreters test lint format notebooks docs wheels clean

help:
	@echo "make demo     raw log to served multi-task model on MovieLens-100K (DATA=<folder> to use your copy, OUT=<folder>)"
	@echo "make demo-two-stage  retrieval and ranking in one SavedModel on MovieLens-100K (same options)"
	@echo "make check    the tests for daily work, without those that train long or start processes and servers"
	@echo "make check-interpreters  the same with every Python of $(INTERPRETERS) that is here"
	@echo "make test     the whole test suite"
	@echo "make lint     ruff and mypy"
	@echo "make format   let ruff format the code"
	@echo "make notebooks  run the notebooks and store their outputs"
	@echo "make docs     the documentation as a site, in build/site"
	@echo "make wheels   dist/: the package, and its client without TensorFlow"
	@echo "make clean    remove the virtual environment $(VENV), the demo's output and what was built"

install: $(INSTALLED)

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("tfmtl needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) (about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: install
	@$(BIN)/tfmtl run movielens_100k --epochs 4 --output $(OUT) $(if $(DATA),--folder "$(DATA)")

demo-two-stage: install
	@$(BIN)/tfmtl run-two-stage movielens_100k --exclude-seen --negatives 4 --set pooling=target --output $(OUT) $(if $(DATA),--folder "$(DATA)")

check: install
	@$(BIN)/python -m pytest $(PARALLEL) -m "not long and not process and not slow" $(TESTS)

# A name may be there and not start: pyenv has one for every version that any of its interpreters has, and they start from its folder.
check-interpreters:
	@for each in $(INTERPRETERS); do found=; \
	  for path in $$each $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin/$$each; do \
	    if $$path --version >/dev/null 2>&1; then found=$$path; break; fi; done; \
	  if [ -n "$$found" ]; then echo "== $$found" && $(MAKE) check PYTHON=$$found VENV=.venv-$${each#python} TESTS="$(TESTS)" || exit 1; \
	  else echo "== $$each is not here"; fi; done

test: install
	@$(BIN)/python -m pytest $(PARALLEL) --durations=50

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile pipelines/dataflow/Dockerfile

format: install
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

notebooks: install
	@$(BIN)/python notebooks/make.py

docs: install
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Wrote build/site/index.html."

# What an earlier build left would be packed again.
wheels: install
	@rm -rf build client/build dist
	@for project in . ./client; do $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist $$project; done
	@ls dist

clean:
	rm -rf $(VENV) demo build client/build dist
