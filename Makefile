# The two commands a newcomer needs are `make demo` and `make test`; everything else is for people who work on it.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help venv demo lint test test-full bench docs clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamps depend on pyproject.toml alone: a change of dependencies reinstalls, a change of code does not.
$(VENV)/.core: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,test,lint]'
	@touch $@

venv: $(VENV)/.test ## create .venv with everything for development

demo: $(VENV)/.core ## install and transcribe data/samples with the bundled model
	@$(BIN)/python recipes/demo.py data/samples

lint: $(VENV)/.test ## ruff, mypy and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Two processes, each of 1 GB, share the files out, so that what a file prepares is prepared once.
test: $(VENV)/.test ## the fast test suite (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile

# What cannot be installed here (kenlm needs a compiler, say) is skipped by name.
test-full: $(VENV)/.test ## also what needs Debian packages, a browser, peers or the shared speech
	@for package in playwright ray kenlm kaldingram; do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $$package || true; \
	done
	$(BIN)/python -m pytest -rs

bench: $(VENV)/.test ## timed comparisons with named peers
	@grep -v '^#' tests/benchmarks/peers.txt | while read -r peer; do \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $$peer || \
	  echo "bench: cannot install $$peer: left out of the comparison" >&2; done
	$(BIN)/python -m tests.benchmarks

$(VENV)/.docs: $(VENV)/.core
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs ## the documentation as a site in build/site; fails on a broken link
	@$(BIN)/python docs/site.py build/pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean: ## remove the environment and caches (never data or experiments)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
