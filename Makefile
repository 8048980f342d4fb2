# Flicker on Dagster: everything a developer needs. `make` alone tells what there is.
#
#   make demo DURATION=60     the demo, ended after a minute
#   make PYTHON=python3.12 …  another interpreter for .venv (after `make clean`)

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup test test-real fuzz simulate demo chaos bench bench-big lint types reference conformance image clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with Flicker and the developers' tools; does nothing when up to date

# The stamp is touched last: a set-up that was interrupted is done again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Flicker's set-up needs Python 3.11 or newer." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@PYTHON=$(PYTHON) .ci/system-packages python:ensurepip=python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check --quiet --disable-pip-version-check
	@touch $@

# Some tests use the real thing: a browser for the UI, a PostgreSQL server for Dagster's storage. Most tests wait for other
# processes and sockets, so two workers share them, file by file: what a file starts once, a daemon or a database, it has once.
test: setup ## the tests; WORKERS=0 runs them in one process
	@.ci/system-packages chromium=chromium postgres=postgresql || echo "without these the tests that need them fail" >&2
	$(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile

# Programs that others wrote, on loopback: built and fetched once, below .real/. What cannot be had is left out with a word.
REAL_PACKAGES := javac=openjdk-17-jdk-headless mvn=maven go=golang rsyslogd=rsyslog \
  file:/usr/lib/*/rsyslog/lmnsd_ossl.so=rsyslog-openssl nginx=nginx-light
test-real: setup ## destinations against real receivers (OpenSearch, Kafka, rsyslog …); ONLY=opensearch
	@.ci/system-packages $(foreach each,$(REAL_PACKAGES),'$(each)') || true
	$(BIN)/python -m flicker_dagster_tests.real
	$(BIN)/python -m pytest -m real flicker_dagster_tests/real -rs --timeout=600 $(if $(ONLY),-k $(ONLY))

fuzz: setup ## the property tests with a longer budget; EXAMPLES=20000 of each, ONLY=name
	FLICKER_FUZZ_EXAMPLES=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest -m fuzz --timeout=0 $(if $(ONLY),-k $(ONLY))

simulate: setup ## whole installations on a simulated clock, disk, network and store, each from a seed; SEEDS=10000 FIRST=1
	$(BIN)/python -m flicker_dagster_tests.simulation --seeds $(or $(SEEDS),10000) --first $(or $(FIRST),1) $(if $(WITHOUT),$(addprefix --without ,$(WITHOUT)))

demo: setup ## simulated vendors, a SIEM and Flicker in between; DURATION=60 ends it by itself, VENDORS=okta,slack,zoom
	$(BIN)/flicker demo $(if $(DURATION),--duration $(DURATION)) $(if $(VENDORS),--vendor $(VENDORS))

chaos: setup ## kills, outages and whims for DURATION seconds, then the count of what was lost; SEED=7
	$(BIN)/python -m flicker_dagster_tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(DURATION),--duration $(DURATION))

# The rivals' dependencies collide with ours and with each other's: each has an environment of its own.
bench: setup ## CPU, memory and latency beside the rivals'; ONLY=hot,big EVENTS=200000 ROUNDS=3
	@for peer in floor dlt airbyte grove; do \
	  home=.venv-bench/$$peer; \
	  test -f $$home/.set-up && continue; \
	  echo "Installing $$peer into $$home …"; \
	  { $(PYTHON) -m venv $$home && \
	    $(BIN)/python -m pip --python $$home/bin/python install --quiet --disable-pip-version-check --group bench-$$peer && \
	    touch $$home/.set-up; } || echo "$$peer could not be installed and is left out" >&2; \
	done
	$(BIN)/python -m compileall -q flicker_dagster bench  # as pip does it for what it installs: the rivals
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(EVENTS),--events $(EVENTS)) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-big: ## ten million events in one process: does memory grow?
	@$(MAKE) --no-print-directory bench ONLY=big

lint: setup ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## static types
	$(BIN)/pyright

reference: setup ## renew what is made from records and presets: the README's reference, docs/auth.md, vocabulary, destinations, vendors
	$(BIN)/python -m flicker_dagster.config.reference README.md
	$(BIN)/python -m flicker_dagster.config.destination_pages docs/destinations
	$(BIN)/python -m flicker_dagster.config.auth_page docs/auth.md
	$(BIN)/python -m flicker_dagster_tests.deliver.normalise.page docs/destinations/normalise.md
	$(BIN)/python -m flicker_dagster.config.vocabulary_page docs/vocabulary.md
	$(BIN)/python -m flicker_dagster.config.vendor_pages docs/vendors
	$(BIN)/python -m flicker_dagster_tests.catalogue.page docs/vendors/README.md

conformance: setup ## renew docs/conformance.md
	$(BIN)/python -m flicker_dagster_tests.conformance.page docs/conformance.md

image: ## the container image
	docker build -t flicker:latest .

clean: ## remove .venv and caches; state in .flicker stays
	rm -rf $(VENV) .venv-bench .real build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
