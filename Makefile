# make demo   sets everything up and does the main job on real images
# make test   sets everything up and passes lint, types, contracts and tests

# The first of these that is there, runs, and is recent enough.
RECENT := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c '$(RECENT)' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint web test-web browser format bench docs clean

demo: $(VENV)/.demo
	$(BIN)/svertka demo

test: lint test-web browser
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the browser runs; the result is committed, so that who uses svertka needs no Node.js.
web: $(VENV)/.dev
	web/with-node node build.mjs

test-web: $(VENV)/.dev
	web/with-node tsc --noEmit
	web/with-node prettier --check --log-level warn .
	web/with-node vitest run
	web/with-node node compare.mjs

# Tests of pages open them in Chromium; where there is none and none may be installed, they are skipped by name.
browser:
	@command -v chromium || command -v google-chrome || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium >/dev/null; } || \
		echo "There is no Chromium here; tests of pages are skipped."

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	web/with-node prettier --write --log-level warn .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run_all.py

docs: $(VENV)/.dev
	$(BIN)/python -m svertka.model_summary.docs_page docs
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) build dist web/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# A stamp file says which extra is installed; it is older than what it was made from when that has changed.
$(VENV)/.%: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "svertka needs Python 3.11 to 3.13; name one: make PYTHON=..."; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@
