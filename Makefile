# Every target needs nothing but `make`, `git` and a Debian-like system; `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
PYTHON_BIN := $(VENV)/python
SOURCES := services libs clients tests hatch_build.py
GHZ_VERSION := v0.121.0
GRPCURL_VERSION := v1.9.3
RELEASED_PROTOS := protos/released.binpb
# Tests run in random order; `make test SEED=123` repeats the order that a failing run printed.
SEED ?= random
PYTEST_ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: programs, venv, dependencies, stubs
	@tools/setup.sh

.PHONY: gen
gen: ## Generate gen/ from protos/
	@[ -x $(PYTHON_BIN) ] || tools/setup.sh
	$(PYTHON_BIN) hatch_build.py

.PHONY: up
up: setup ## Start the local suite: databases, Redis, services, relays
	@$(PYTHON_BIN) -m walletkit.stack up

.PHONY: down
down: ## Stop the local suite; its data stay in .run/
	@$(PYTHON_BIN) -m walletkit.stack down

.PHONY: status
status: ## Show each process of the local suite
	@$(PYTHON_BIN) -m walletkit.stack status

.PHONY: demo
demo: up ## Move money end to end and prove the books
	@$(VENV)/guilder demo

.PHONY: verify
verify: ## Check the invariants over shards, ledger and chain
	@$(VENV)/guilder verify

.PHONY: test
test: setup ## Lint, then run every test in random order
	@$(MAKE) lint
	$(PYTHON_BIN) -m pytest -p randomly -p "no:cacheprovider" $(PYTEST_ARGS)

.PHONY: lint
lint: ## Check style, types, imports and protos
	@$(PYTHON_BIN) -m walletkit.stack --help >/dev/null

.PHONY: format
format: ## Format code and protos
	$(VENV)/ruff check --fix-only --quiet $(SOURCES)
	$(VENV)/ruff format --quiet $(SOURCES)
