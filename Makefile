# Everything a newcomer needs: `make demo`, `make test`. Set-up happens on the way, once.
#
#   make demo [DATA=manifest.csv] [SIZE=pixels] [PROFILE=quick|full]
#   make test      lint, types, import rules, tests on every core with branch coverage
#                  (with a PostgreSQL server: .ci/with-postgresql make test)
#   make test-long every campaign of the tests in full; writes tests/CAMPAIGNS.md
#   make lint      the first three of these
#   make clean     remove the virtual environment, the demo and every cache

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-long lint clean

VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= quick
DATA ?=
SIZE ?=

# Homebrew's Pango is outside the default search path; `bash` on macOS drops an exported DYLD_ value.
WITH_PANGO := $(if $(filter Darwin,$(shell uname)),DYLD_FALLBACK_LIBRARY_PATH=/opt/homebrew/lib:/usr/local/lib)

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.engine $(VENV)/.pango
	@rm -rf demo
	@$(WITH_PANGO) $(BIN)/auditor demo --out demo --profile '$(PROFILE)' \
	    $(if $(DATA),--data '$(DATA)') $(if $(SIZE),--size '$(SIZE)')

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint $(VENV)/.pango
	$(if $(AUDITOR_DEMO_DIR),,$(BIN)/coverage erase)
	OMP_NUM_THREADS=1 $(WITH_PANGO) $(BIN)/coverage run -m pytest -n auto --dist worksteal
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-long: $(VENV)/.dev $(VENV)/.pango
	rm -f tests/CAMPAIGNS.md
	AUDITOR_TEST_LONG=1 OMP_NUM_THREADS=1 $(WITH_PANGO) $(BIN)/python -m pytest -m campaign tests

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f .coverage .coverage.*
	find auditor tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up; each stamp is older than what it was made from, or is made again --------------------------

$(VENV)/.venv:
	@.ci/make-venv '$(VENV)'
	@touch $@

$(VENV)/.engine: $(VENV)/.venv pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -e '.[engine]'
	@touch $@

$(VENV)/.dev: $(VENV)/.engine
	$(BIN)/python -m pip install --group dev
# its metadata alone asks for Python 3.12: tests/ledger/test_tiles_interop.py runs it on 3.11
	$(BIN)/python -m pip install --no-deps --ignore-requires-python aics-tlog==0.2.1
	@touch $@

$(VENV)/.pango: $(VENV)/.engine
	@.ci/find-pango '$(BIN)/python'
	@touch $@
