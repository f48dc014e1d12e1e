# Needs `make` and `git` on a Debian-like system; `make setup` brings the rest. `make` lists targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
PYTHON := $(VENV)/python
STACK := $(PYTHON) -m walletkit.stack
CODE := services libs clients tests bench tools hatch_build.py
# More arguments for pytest, such as `-k transfer` or `-p randomly -p "randomly_seed=1"`.
PYTEST_ARGS ?=
# More arguments for the drill, such as `--json` or `--seconds 30`.
DRILL_ARGS ?=
# More arguments for a benchmark, such as `--scenarios within,hot --rounds 1`; bench/README.md.
BENCH_ARGS ?=
# QUICK=1: a short look, under five minutes.
QUICK ?=
# Whose advisories are looked up: pypi, osv, esms.
AUDIT_SERVICE ?= pypi
# BINLOG=off, with any target: a suite without binlogs, which may lose what it acknowledged, in a
# folder of its own. For measuring alone; it has the other one's ports: `make down` that first.
BINLOG ?= on
WEAK_RUN_DIR := .run/binlog-off
ifeq ($(BINLOG),off)
export GUILDER_BINLOG := off
export GUILDER_RUN_DIR := $(WEAK_RUN_DIR)
endif

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing: programs, venv, dependencies, stubs
	@tools/setup.sh

.PHONY: gen
gen: ## Generate gen/ from protos/
	@$(PYTHON) hatch_build.py

.PHONY: up
up: setup ## Start the local suite: databases, Redis, services, relay
	@$(STACK) up

.PHONY: down
down: ## Stop the local suite; its data stay in .run/
	@$(STACK) down

.PHONY: status
status: ## Show each process of the local suite
	@$(STACK) status

.PHONY: demo
demo: up ## Move money end to end and prove the books
	@$(VENV)/guilder demo

.PHONY: verify
verify: ## Check every invariant over shards, ledger and chain
	@$(VENV)/guilder verify

.PHONY: test
test: setup valgrind prometheus chart-tools lint ## Lint, then run all tests, on two cores in random order
	@$(PYTHON) -m pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: walk
walk: setup ## Walk ten seeds of 10,000 random steps on a suite whose processes are killed (long)
	@GUILDER_LONG=1 $(PYTHON) -m pytest tests/e2e/test_walk.py --numprocesses 2 -rP $(PYTEST_ARGS)

.PHONY: restore-drill
restore-drill: setup ## Lose a shard and the books under traffic, restore them, prove that nothing is lost
	@$(PYTHON) -m tools.restore_drill $(DRILL_ARGS)

.PHONY: lint
lint: setup ## Check style, types, imports and protos
	@$(VENV)/ruff check --quiet --output-format concise $(CODE)
	@$(VENV)/ruff format --check --quiet $(CODE)
	@$(VENV)/bandit --quiet --configfile pyproject.toml --recursive $(CODE)
	@$(VENV)/mypy --no-error-summary
	@$(VENV)/lint-imports --no-logo >.tools/lint-imports.log || { cat .tools/lint-imports.log; exit 1; }
	@$(VENV)/buf lint
	@$(VENV)/buf format --diff --exit-code protos
	@tools/proto_breaking.sh
	@echo "lint: clean"

.PHONY: format
format: setup ## Format code and protos
	@$(VENV)/ruff check --fix-only --quiet $(CODE)
	@$(VENV)/ruff format $(CODE)
	@$(VENV)/buf format --write protos

.PHONY: docs
docs: setup ## Write docs/errors.md, docs/authorization.md, docs/metrics.md, docs/configuration.md, docs/alerts.md, the calls of docs/api.md, and the dashboards
	@$(PYTHON) tools/errors_doc.py
	@$(PYTHON) tools/roles_doc.py
	@$(PYTHON) tools/metrics_doc.py
	@$(PYTHON) tools/settings_doc.py
	@$(PYTHON) tools/alerts_doc.py
	@$(PYTHON) -m tools.dashboards
	@$(PYTHON) -m tools.api_doc

.PHONY: record
record: setup ## Make one call of each kind on a suite of its own, and write docs/api.json
	@$(PYTHON) -m tools.record_calls

.PHONY: dist
dist: setup ## Build wheel and sdist into dist/
	@rm -rf dist
	@$(VENV)/uv build --quiet --no-python-downloads --out-dir dist
	@ls -1 dist

.PHONY: lock
lock: setup ## Resolve requirements.lock anew from pyproject.toml
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --upgrade \
		--generate-hashes --no-emit-index-url --no-header -o requirements.lock pyproject.toml

.PHONY: release-protos
release-protos: setup ## Note the present protos as released: `make lint` holds later ones to them
	@$(VENV)/buf build protos -o protos/released.binpb

.PHONY: audit
audit: setup ## Look up the advisories on each package of the lock (asks pypi.org, or AUDIT_SERVICE=osv)
	@$(PYTHON) tools/audit.py --service $(AUDIT_SERVICE)

.PHONY: tools
tools: setup ## Install ghz and grpcurl into .tools/bin
	@tools/go_tools.sh

.PHONY: chart-tools
chart-tools: setup ## Install what checks the chart into .tools: helm, kubeconform, kube-score, checkov
	@tools/chart_tools.sh

.PHONY: bench
bench: up tools ## Measure every scenario against the running suite, and prove the books
	@$(PYTHON) -m bench run $(if $(QUICK),--quick) $(BENCH_ARGS)

.PHONY: bench-rest
bench-rest: up tools ## Measure what Envoy and REST cost a transfer
	@$(PYTHON) -m bench rest $(if $(QUICK),--quick) $(BENCH_ARGS)

.PHONY: bench-curve
bench-curve: up tools ## Plot latency against offered load, to the knee
	@$(PYTHON) -m bench curve $(BENCH_ARGS)

.PHONY: bench-soak
bench-soak: up tools ## Offer a steady load for ten minutes
	@$(PYTHON) -m bench soak $(BENCH_ARGS)

.PHONY: bench-scale
bench-scale: up tools ## Measure, fill up to 20 million transactions, measure again (hours)
	@$(PYTHON) -m bench scale $(BENCH_ARGS)

.PHONY: bench-ingest
bench-ingest: up tools ## Measure how fast the ledger takes in what it has missed
	@$(PYTHON) -m bench ingest $(BENCH_ARGS)

.PHONY: bench-compare
bench-compare: setup tools ## Measure the commit BASE and this one side by side
	@[ -n "$(BASE)" ] || { echo "bench-compare: say BASE=<commit>" >&2; exit 2; }
	@$(PYTHON) -m bench compare $(BASE) $(BENCH_ARGS)

.PHONY: bench-profile
bench-profile: up tools ## Show what the processes spend their time on under load
	@$(PYTHON) -m bench profile $(BENCH_ARGS)

.PHONY: bench-count
bench-count: setup valgrind ## Count the instructions of a transfer, and compare them with the reference
	@$(PYTHON) -m bench count --check $(BENCH_ARGS)

.PHONY: valgrind
valgrind: ## Install valgrind where that is possible
	@command -v valgrind >/dev/null || tools/setup.sh valgrind

.PHONY: prometheus
prometheus: ## Unpack Prometheus and promtool into .tools/bin where that is possible
	@tools/prometheus.sh

.PHONY: clean
clean: ## Stop the suite and delete all that was made, its data included
	@[ ! -x $(PYTHON) ] || $(STACK) down
	@[ ! -d $(WEAK_RUN_DIR) ] || GUILDER_RUN_DIR=$(WEAK_RUN_DIR) $(STACK) down
	@rm -rf .venv .run .tools gen dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
