# A thin menu; what the commands do stands in local/, tests/ and cli/.
PYTHON ?= python3
VENV := .venv/bin
SET_UP := test -x $(VENV)/python || { echo "nothing is set up here: run make up"; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help prepare up down reset test test-bare test-compose chaos simulate mutants load bench lint format types lock sbom

help: ## this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

prepare: ## install and fetch what is missing (up and test do it too)
	@$(PYTHON) -m local.bootstrap $(if $(AIRFLOW),--airflow)

up: prepare ## start the whole demo and stay in the foreground until Ctrl-C (AIRFLOW=1: with Airflow)
	@$(VENV)/python -m local up $(if $(AIRFLOW),--airflow)

down: ## stop it from another terminal
	@$(SET_UP)
	@$(VENV)/python -m local stop

reset: ## stop it and forget its data, secrets and ports (YES=1: do not ask)
	@$(SET_UP)
	@$(VENV)/python -m local reset $(if $(YES),--yes)

test: ## run every test, real servers and a real browser included (ARGS=…: for pytest)
	@$(PYTHON) -m local.bootstrap --browser --airflow
	@$(VENV)/python -m tests $(ARGS)

test-bare: ## the two commands on bare Debian 12 and 13, some 20 minutes, as root (ARGS=…: see python3 -m tests.bare --help)
	@$(PYTHON) -m tests.bare $(ARGS)

test-compose: prepare ## deploy/compose.yml for real: built from packages, used, broken, restarted (ARGS=…; needs an engine and root)
	@$(VENV)/python -m tests.compose $(ARGS)

chaos: prepare ## faults injected into the whole system, by seed (SEED=n MINUTES=n RESULTS=file LANES=n LOSSES=names)
	@$(VENV)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(RESULTS),--results $(RESULTS)) $(if $(LANES),--lanes $(LANES)) $(if $(LOSSES),--losses $(LOSSES))

simulate: prepare ## the whole worker group over simulated servers, by seed (SEED=n SCHEDULES=n MIX=usual|erasures|losses|snapshots|directory|dense|brief|"brief losses")
	@$(VENV)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(MIX),--mix "$(MIX)")

mutants: prepare ## does every mutation of the product fail a test? (NAMES=…: only these)
	@$(VENV)/python -m tests.mutants $(NAMES)

bench: prepare ## the project and its peers side by side (BENCH="processor debezium": only these; ARGS=…)
	@$(VENV)/python -m benchmarks $(or $(BENCH),all) --json bench-results/latest.jsonl $(ARGS)

load: prepare ## many people at once and a restart of Keycloak (USERS=200 SECONDS=60)
	@$(VENV)/python -m tests.load --users $(or $(USERS),200) --seconds $(or $(SECONDS),60)

lint: prepare ## formatter, linter, type checker, import rules, front-end checks and tests
	@$(VENV)/python -m local.lint

format: prepare ## format the code
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix --quiet .

types: prepare ## generate the page's types of the API anew
	@$(VENV)/python -m local.page_types

lock: ## resolve the lock files anew from pyproject.toml
	@$(PYTHON) -m local.locks

sbom: ## bills of materials (CycloneDX) of images, page and Java servers, into sbom/
	@$(PYTHON) -m local.bootstrap --airflow
	@$(VENV)/python -m local.sbom
