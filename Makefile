# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.NOTPARALLEL:
.PHONY: setup docs docsite pages lint sanity unit unit-all stage-hosts stage molecule integration hosts hosts-all test test-all drills bench-plan bench-convert bench-site bench-scale bench-gateway bench-rolls bench-status bench-observe bench-fanout docker images rehearse rehearse-fleet rehearse-observe rehearse-clean build help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible requires a UTF-8 locale.
export LC_ALL := C.UTF-8
export MOLECULE_GLOB := molecule/*/molecule.yml

help: ## Show this help
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

setup: ## Create .venv, and .venv-2.21 if Python 3.12 is found
	@scripts/setup

docs: setup ## Update generated documentation: role READMEs, plans and diagram in README.md, tables in docs/
	for role in roles/*/; do aar-doc "$$role" markdown; done
	python tests/unit/test_readme.py
	python scripts/diagram.py docs/architecture.yml docs/architecture.svg
	python scripts/dashboards.py
	python tests/unit/docs/test_operations.py
	python tests/unit/docs/test_sizing.py
	python tests/unit/docs/test_variables.py

docsite: setup ## Build the documentation as a website, in .cache/docsite/build/html
	@scripts/docsite

pages: setup ## Check the reports of runs and benchmarks in a browser, and update their screenshots
	scripts/check_pages

lint: setup ## Run all linters
	@scripts/lint

sanity: setup ## Run ansible-test sanity on both versions of ansible-core
	@scripts/sanity

unit: setup ## Run the unit tests, except the long ones
	@scripts/unit

unit-all: setup ## Run all unit tests; those of plugins, playbooks and roles on both versions of ansible-core
	@scripts/unit --all

stage-hosts: setup docker ## Create what make hosts needs: images, models, wheels
	rehearsal/bin/model
	rehearsal/bin/images base host backend loaded
	rehearsal/bin/wheelhouse

stage: stage-hosts ## Create what all scenarios need: in addition, the other images and the load generator
	rehearsal/bin/images
	rehearsal/bin/benchmark

molecule: stage ## Run all scenarios one after another, or one with SCENARIO=name
	molecule test $(if $(SCENARIO),-s $(SCENARIO),--all)

integration: setup docker ## Test the rehearsed site
	python -m pytest -m "not drill" tests/integration

# Each scenario has its own host and mostly waits for it, so two run at a time.
on_hosts := python -m pytest --numprocesses 2 --verbose --durations 0 --durations-min 20 tests/integration tests/scenarios -m

hosts: stage-hosts ## Test the rehearsed site and run the scenarios of single roles
	$(on_hosts) "not long and not drill"

hosts-all: stage ## Test the rehearsed site and run every scenario except the drills
	$(on_hosts) "not drill"

# check_and_stage SANITY-OPTION UNIT-TESTS STAGE
# Staging mostly waits for downloads, so linters and tests run at the same time; linters mostly use one processor.
define check_and_stage
@mkdir -p .cache; \
$(MAKE) --no-print-directory $(3) >.cache/stage.log 2>&1 & stage=$$!; \
$(MAKE) --no-print-directory lint >.cache/lint.log 2>&1 & lint=$$!; \
scripts/sanity $(1); checks=$$?; \
wait $$lint || { checks=1; cat .cache/lint.log; }; \
[ $$checks -ne 0 ] || $(MAKE) --no-print-directory $(2) || checks=1; \
wait $$stage || { cat .cache/stage.log; exit 1; }; \
exit $$checks
endef

test: setup ## Test a change: linters, sanity tests, unit tests, the rehearsed site, scenarios of the roles
	$(call check_and_stage,--first,unit,stage-hosts)
	@$(MAKE) --no-print-directory hosts

test-all: setup ## Run all tests except the drills; this is what CI runs
	$(call check_and_stage,,unit-all,stage)
	@$(MAKE) --no-print-directory hosts-all

drills: stage ## Run the slowest tests: on virtual machines, and of a fleet under load (docs/testing.md says when)
	python -m pytest --verbose --durations 0 -m drill tests/integration tests/scenarios

bench-plan: setup ## Measure how long it takes to plan a fleet; updates docs/benchmarks.md
	python tests/bench/bench_plan.py --write

bench-convert: setup ## Measure how long it takes to convert a checkpoint; updates docs/benchmarks.md
	python tests/bench/bench_convert.py --write

bench-site: setup ## Measure a run of the site that changes nothing; updates docs/benchmarks.md
	python tests/bench/bench_site.py --write

bench-scale: setup ## Measure runs for 200 hosts that do not exist: nothing to do, and a roll; updates docs/benchmarks.md
	python tests/bench/bench_scale.py --write

bench-gateway: setup ## Measure what the gateway costs; updates docs/benchmarks.md
	python tests/bench/bench_gateway.py --write

bench-rolls: stage ## Measure what becomes of requests while a fleet is rolled or has faults; updates docs/benchmarks.md
	python -m pytest --verbose tests/integration/test_9_rolls.py tests/integration/test_9_faults.py \
	    tests/integration/test_9_copies.py --write-figures

bench-observe: setup ## Measure what it costs to be watched; updates docs/benchmarks.md
	python tests/bench/bench_observe.py --write

bench-fanout: setup ## Measure how long hosts take to copy an artifact from each other; updates docs/benchmarks.md
	python tests/bench/bench_fanout.py --write

bench-status: setup ## Measure how long it takes to show the state of a fleet; updates docs/benchmarks.md
	python tests/bench/bench_status.py --write

docker: ## Install and start Docker on this machine, unless it is running
	rehearsal/bin/docker

images: docker ## Build the images of the rehearsal
	rehearsal/bin/images

rehearse: ## Serve a model on this machine without a GPU, with the real playbook; PROFILE=engine, llmapi or serve
	@scripts/setup --first-only
	ansible-playbook -i inventories/rehearsal/hosts.yml tritonops.trtllm.rehearse $(if $(PROFILE),-e trtllm_profile=$(PROFILE))

rehearse-fleet: ## Serve models on two hosts behind a gateway, on this machine without a GPU
	@scripts/setup --first-only
	ansible-playbook -i inventories/rehearsal/fleet.yml tritonops.trtllm.rehearse_fleet

rehearse-observe: ## Watch the hosts of rehearse-fleet with Prometheus, until an alert fires for a server that stops
	@scripts/setup --first-only
	ansible-playbook -i inventories/rehearsal/fleet.yml tritonops.trtllm.rehearse_observe

rehearse-clean: ## Remove what the rehearsal started, but keep images and downloads
	rehearsal/bin/clean

build: setup ## Build the collection's tarball in .cache
	ansible-galaxy collection build --force --output-path .cache
