# Ringwork on a machine with Python 3.11 or newer, pip and make. `make` alone lists the targets.
PYTHON ?= python3
AREA ?= foundation
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup run check test docs bench lock clean chromium

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## make .venv with everything pinned by hash

run: setup ## start the demo: server, world and console at http://127.0.0.1:8080
	@$(BIN)/ringwork demo || [ $$? -eq 130 ] # Ctrl-C is how one ends it

check: setup ## format, lint, spelling, import directions, types (under a minute)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

test: setup chromium ## the whole test suite
	$(BIN)/pytest -n 2

docs: setup ## write the reference pages and build docs/_build/html
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: .venv/.bench ## measure the goals of AREA beside their peers (QUICK=1 for the short form)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(AREA)

lock: setup ## pin requirements/*.in again
	$(BIN)/python requirements/lock.py

clean: ## remove what was built; .venv and data directories stay
	rm -rf build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov
	find src tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

# The stamp is the last thing written: a virtual environment that failed half-way leaves a folder
# without it. A changed lock starts from nothing, so that what is no longer pinned is gone.
.venv/.ready: requirements/dev.txt pyproject.toml
	@PYTHON="$(PYTHON)" sh requirements/setup.sh

.venv/.bench: .venv/.ready requirements/bench.txt requirements/peers.txt
	$(BIN)/pip install -qq --require-hashes -r requirements/bench.txt
	rm -rf .venv/peers
	$(BIN)/pip install -qq --no-deps --require-hashes --target .venv/peers -r requirements/peers.txt
	@touch $@

chromium:
	@sh requirements/chromium.sh
