# make demo    the main job on throw-away data          make test     the suite
# make peers   the journeys' peer servers (as root)      make lint     static checks
# make bench   the benchmarks                            make lock     newer locked requirements
# make install the service, below /opt (as root)         make clean    everything made here goes
#
# PYTHON=python3.13 chooses the interpreter, VENV=.venv-3.13 where its packages go, ARGS="…" goes to the tool.

# The system's own Python, where it is new enough and can make environments: distributions build theirs with
# profile-guided optimisation, which saves a tenth of the processor's time here. Else whatever python3 is.
ifndef PYTHON
SYSTEM := /usr/bin/python3
PYTHON := $(shell $(SYSTEM) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
  echo $(SYSTEM) || echo python3)
endif
VENV   ?= .venv
ARGS   ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := demo
.DELETE_ON_ERROR:
.PHONY: demo test peers lint bench lock install clean

demo: $(VENV)/.run
	@$(BIN)/tocsin demo $(ARGS)

# Two workers, as the journeys start servers of their own; a file stays on one worker, so that what it starts is started
# once. The log is made as it is in service, so that what is said at info is said in the tests too.
test: $(VENV)/.test
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --log-level=INFO $(ARGS) || { code=$$?; \
	  test $$code -ne 5 || echo "No test was run: nothing in tests/ fits what was asked." >&2; exit $$code; }

peers:
	@tests/peers/install

# Every check is run even where one before it failed.
lint: $(VENV)/.test
	@failed=0; set -x; \
	  $(BIN)/ruff check . || failed=1; \
	  $(BIN)/ruff format --check . || failed=1; \
	  $(BIN)/mypy || failed=1; \
	  $(BIN)/lint-imports --no-cache || failed=1; \
	  { set +x; } 2>/dev/null; exit $$failed

bench: $(VENV)/.test
	@$(BIN)/python tests/bench/run.py $(ARGS)

install:
	@PYTHON=$(PYTHON) systemd/install

clean:
	rm -rf $(VENV) .venv .peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist *.egg-info
	find daemon filters gateway tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The virtual environment. A stamp is written last, so an install that was interrupted is done again.

$(VENV)/.run: pyproject.toml daemon/__init__.py requirements/build.txt requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Tocsin needs Python 3.11 or newer and $(PYTHON) is not: install it, or name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing Tocsin and its locked requirements into $(VENV)" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --require-hashes -r requirements/build.txt
	@$(PIP) --require-hashes -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@echo "Installing the test tools into $(VENV)" >&2
	@$(PIP) --require-hashes -r requirements/test.txt
	@touch $@

# Locked for every platform from Python 3.11 on; test tools agree with what runs. No index address is written down.

LOCK := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade

lock:
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(PYTHON) -m venv "$$scratch" && \
	  "$$scratch/bin/python" -m pip install -qq --disable-pip-version-check uv && uv="$$scratch/bin/uv" && \
	  "$$uv" $(LOCK) requirements/build.in --output-file requirements/build.txt && \
	  "$$uv" $(LOCK) pyproject.toml --output-file requirements/run.txt && \
	  "$$uv" $(LOCK) --group test --constraints requirements/build.txt --constraints requirements/run.txt \
	    --output-file requirements/test.txt
