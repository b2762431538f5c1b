# `make run` shows what hwsim answers; `make test` is what continuous integration runs.  Both start from a
# bare machine: Python >= 3.11, make and git.  Nothing is installed outside .venv but what the tests need of
# the system (scripts/system-packages says what, and why).

VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/lock.txt
# The first interpreter that is new enough; `make PYTHON=python3.12 run` chooses another one.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint $(LOCK)

.PHONY: run test test-long mutation bench lint lock clean system help
.DEFAULT_GOAL := help

help:
	@echo "make run        install into .venv and run the quick start"
	@echo "make test       lint, types and tests; installs what they need"
	@echo "make test-long  the full-scale figures"
	@echo "make mutation   faults put into the Verilog, and what finds them"
	@echo "make bench      the benchmarks, as ratios"
	@echo "make lint       ruff and mypy alone"
	@echo "make lock       refresh $(LOCK) (needs the package index)"
	@echo "make clean      remove .venv, results and caches"

run: $(VENV)/.installed
	@$(BIN)/hwsim run quickstart
	@echo "The report: $(CURDIR)/hwsim-out/quickstart-1/report.html"

test: system lint
	@HWSIM_PYTHONS=$$(scripts/other-pythons) $(BIN)/python -m pytest -n auto

test-long: system
	@$(BIN)/python -m pytest -m long --durations=10

mutation: system
	@cd tests/rtl && $(abspath $(BIN))/python -m mutation --out $(CURDIR)/hwsim-out/mutation

bench: $(VENV)/.dev
	@for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/mypy

# What only the tests need of the system; missing ones are named by the tests that are skipped for them.
system: $(VENV)/.dev
	@scripts/system-packages tests

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "hwsim needs Python 3.11 or later, and found none; install it, or name it: make PYTHON=..." >&2; exit 3; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || scripts/system-packages venv
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 3; }

# The build backend is locked too, so nothing is built in an environment of its own.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml $(LOCK)
	@echo "Installing hwsim into $(VENV)"
	@$(PIP) hatchling editables
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@echo "Installing the test tools into $(VENV)"
	@$(PIP) --no-build-isolation --editable '.[dev,rtl,formal]'
	@touch $@

# The newest versions that the oldest Python takes, then the proof that the others take them too.
lock:
	scripts/refresh-lock $(LOCK)

clean:
	rm -rf $(VENV) $(VENV)-* hwsim-out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
