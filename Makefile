# Boatyard. `make demo` and `make test` need nothing before them but Python 3.11+, git and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := 0.13.9
STAMP := $(VENV)/.installed
TESTS ?= tests
# In the order of the folders: the long ones first. xdist's own order, by the number of tests, leaves them for the end.
PYTEST_ARGS ?= -q -n 2 --dist loadfile --no-loadscope-reorder --durations=15

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "boatyard: $(PYTHON) is $$($(PYTHON) -V 2>&1), 3.11 or newer is needed; try make PYTHON=python3.11 …" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "== making $(VENV)"; $(PYTHON) -m venv $(VENV) \
	  || { echo "boatyard: $(PYTHON) cannot make a virtual environment; on Debian install python3-venv" >&2; exit 1; }; }
	@echo "== installing the locked packages"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install -q --disable-pip-version-check 'uv==$(UV)'
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	@touch $@

.PHONY: install tools
install: $(STAMP) ## the Python environment in .venv
tools: $(STAMP) ## the pinned command-line tools, into the cache
	@$(BIN)/python -m boatyard.tools ensure

.PHONY: demo up
demo: tools ## one cluster's whole life on a real control plane
	@$(BIN)/boatyard demo
up: tools ## server, UI, worker and deployments; Ctrl-C drains
	@$(BIN)/boatyard up

.PHONY: test unit browser test-browser
test: tools browser ## every test; those in a browser last, with the machine to themselves
	@$(BIN)/python -m pytest -m 'not browser' $(PYTEST_ARGS) $(TESTS)
	@test "$(TESTS)" != tests || $(BIN)/python -m pytest -v -m browser tests/browser
test-browser: tools browser ## only a person's way through the UI, in Chromium
	@$(BIN)/python -m pytest -v -m browser tests/browser
unit: $(STAMP) ## the tests that need no built tools
	@$(BIN)/python -m pytest -m 'not twin and not server and not browser and not postgres and not account' $(PYTEST_ARGS) $(TESTS)
browser: ## Debian's Chromium for the browser tests, where it can be installed
	@.ci/chromium

.PHONY: check format lock bench
check: $(STAMP) ## format, lint, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
format: $(STAMP) ## mend what ruff can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .
lock: $(STAMP) ## renew requirements.lock from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --group dev --extra sandbox pyproject.toml -o requirements.lock
bench: tools ## every benchmark, against what one would run by hand
	@$(BIN)/python -m benchmarks

.PHONY: clean
clean: ## remove the environment and caches of this folder (the tool cache stays)
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
