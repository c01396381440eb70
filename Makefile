# make demo            environment, installation, and the main job on a built-in phantom
# make demo SCAN=path  the same on a scan of yours
# make test            the tests (real scans take part where LUNGSCORE_DATA names their folder)
# make check           test, plus the slow tests, lint and types
# make fuzz SECONDS=n  mutated inputs for every reader of untrusted files (or HOURS=n)
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check fuzz lint clean

demo: $(VENV)/.core
ifdef SCAN
	$(BIN)/lungscore analyze "$(SCAN)" --out "$(OUT)" --overwrite
else
	$(BIN)/lungscore demo --out "$(OUT)" --overwrite
endif

test: $(VENV)/.full lint
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadgroup

check: test
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

# Under a fixed seed: the same inputs in the same order, as many as the time allows.
SECONDS ?= 120
FUZZ_SECONDS = $(if $(HOURS),$(shell expr $(HOURS) \* 3600),$(SECONDS))

fuzz: $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) --seed 15

lint: $(VENV)/.full
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("lungscore needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# What analysing needs, and no more: no torch.
$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

# torch first and pinned: an unpinned dependency would fetch another, larger build.
$(VENV)/.full: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) torch==2.13.0
	$(PIP) --editable ".[train,test,dev]"
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) $(OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis
