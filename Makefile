# make demo            environment, installation, and the main job on a built-in phantom
# make demo SCAN=path  the same on a scan of yours
# make test            the tests (real scans take part where LUNGSCORE_DATA names their folder)
# make ci              training, a hospital's side, studies; what needs a browser or an archive server; the site; fuzz
# make docs            the documentation site, its tutorials run; docs/_build/html/index.html
# make linkcheck       are the site's links to other sites alive? Needs a network
# make package         wheel and sdist, installed and tried on every Python that is here
# make sbom            what lungscore is built from, as CycloneDX; sbom.json
# make numbers         the frozen numbers anew, after a change with an entry in CHANGELOG.md
# make fuzz SECONDS=n  mutated inputs for every reader of untrusted files (or HOURS=n)
# make check           test, plus training, a hospital's side, studies, the slow tests and the lowest versions of what lungscore needs
# make lowest          the tests that matter there, with those lowest versions
# make mutants         do the tests notice small changes? Hours of one core; docs/mutants.md
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

TESTS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest
# What runs with the lowest versions: all that reads, scores, compares and reports, without torch.
LOWEST := tests/scan tests/severity tests/statistics tests/agreement tests/followup tests/report \
  tests/patients/test_ordinal.py \
  tests/cli/test_main.py tests/cli/test_analyze.py tests/cli/test_compare.py tests/cli/test_agree.py

.PHONY: demo test ci docs linkcheck package sbom numbers fuzz check lowest mutants lint clean

demo: $(VENV)/.core
ifdef SCAN
	$(BIN)/lungscore analyze "$(SCAN)" --out "$(OUT)" --overwrite
else
	$(BIN)/lungscore demo --out "$(OUT)" --overwrite
endif

test: $(VENV)/.full lint
	$(TESTS) -n 2 --dist loadfile

# Tests skip with a reason where what they need is missing; none at all is no failure (5).
ci: $(VENV)/.full
	$(TESTS) -n 2 --dist loadfile -m "(training or hospital or studies) and not slow and not ci"
	$(TESTS) -n 2 --dist loadfile -m ci || test $$? -eq 5
	$(MAKE) docs
	$(MAKE) fuzz SECONDS=120

# A warning is an error: a page that is in no list, a link or an anchor that leads nowhere.
SPHINX := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m sphinx --fail-on-warning --keep-going

docs: $(VENV)/.full
	$(SPHINX) --quiet -b html docs docs/_build/html

linkcheck: $(VENV)/.full
	$(SPHINX) -D nb_execution_mode=off -b linkcheck docs docs/_build/linkcheck

package: $(VENV)/.full
	$(BIN)/python experiments/package.py dist

sbom: $(VENV)/.full
	$(BIN)/python -m cyclonedx_py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file sbom.json $(BIN)/python

numbers: $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/python experiments/frozen_numbers.py

check: test lowest
	$(TESTS) -n 2 --dist loadfile -m "(slow or training or hospital or studies) and not ci"

lowest: $(VENV)/.full
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest --resolution lowest-direct \
	  --editable ".[study,onnxruntime]" "onnx>=1.17" "hypothesis>=6.120" "pytest>=8"
	OMP_NUM_THREADS=1 $(VENV)-lowest/bin/python -m pytest $(LOWEST) -m "not slow and not ci and not training and not hospital"

mutants: $(VENV)/.full
	nice -n 15 $(BIN)/python experiments/mutants/run.py

# Under a fixed seed: the same inputs in the same order, as many as the time allows.
SECONDS ?= 120
FUZZ_SECONDS = $(if $(HOURS),$(shell expr $(HOURS) \* 3600),$(SECONDS))

fuzz: $(VENV)/.full
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS) --seed 15

lint: $(VENV)/.full
	$(BIN)/ruff check src tests experiments
	$(BIN)/ruff format --check src tests experiments
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
	$(PIP) --editable ".[train,test,docs,dev]"
	@touch $@ $(VENV)/.core

clean:
	rm -rf $(VENV) $(VENV)-lowest $(OUT) dist docs/_build docs/generated sbom.json .pytest_cache .mypy_cache .ruff_cache .hypothesis
