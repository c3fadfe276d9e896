# make demo: set up and run the quickstart.  make test: set up and pass the tests.
# make test-serve, test-train, test-jax: the heavy suites. The first two share an environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_FILE ?= examples/quickstart.yaml

# Environments of the heavy suites; each has gigabytes of libraries of its own.
SERVE := .venv-serve
JAX_HOME := $(CURDIR)/.venv-jax

.PHONY: demo test test-serve test-train test-jax lint bench fuzz docs clean

demo: $(VENV)/.base
	$(BIN)/callsmith run $(RUN_FILE)

test: lint
	$(BIN)/pytest -n auto

test-serve: $(SERVE)/.ready
	$(SERVE)/bin/pytest tests/serve tests/hf_suite -m "serve or hf"

test-train: $(SERVE)/.ready
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 \
		$(SERVE)/bin/pytest tests/train_suite tests/property/test_*_render_differential.py

test-jax: $(JAX_HOME)/.ready
	CALLSMITH_JAX_HOME=$(JAX_HOME) $(BIN)/pytest tests/jax_suite -m jax

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

fuzz: $(VENV)/.dev
	$(BIN)/python benchmarks/fuzz_gemma4.py --minutes 10

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $$($(PYTHON) --version) is too old; Callsmith needs Python 3.11 or newer: make PYTHON=python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.base

$(SERVE)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SERVE)
	$(SERVE)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]'
	@touch $@

$(JAX_HOME)/.ready: $(VENV)/.dev plugins/arms/callsmith_jax/requirements.txt plugins/arms/callsmith_jax/constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,jax]'
	CALLSMITH_JAX_HOME=$(JAX_HOME) $(BIN)/callsmith jax setup
	@touch $@

clean:
	rm -rf $(VENV) $(SERVE) $(JAX_HOME) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist runs
