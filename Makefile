# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.NOTPARALLEL:
.PHONY: setup docs docsite lint sanity unit stage molecule integration hosts hosts-all test test-all drills bench-plan bench-convert bench-site engine images rehearse rehearse-clean build help

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible wants UTF-8.
export LC_ALL := C.UTF-8
export MOLECULE_GLOB := molecule/*/molecule.yml

help: ## Show this
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 16

setup: ## Make .venv, and .venv-2.21 where a Python 3.12 is found
	@scripts/setup

docs: setup ## What is generated: tables of variables, README's plans and diagram, the log patterns in operations.md
	for role in roles/*/; do aar-doc "$$role" markdown; done
	python tests/unit/test_readme.py
	python scripts/diagram.py docs/architecture.yml docs/architecture.svg
	python tests/unit/docs/test_operations.py
	python tests/unit/docs/test_variables.py

docsite: setup ## The documentation as a website, in .cache/docsite/build/html
	@scripts/docsite

lint: setup ## Every linter
	@scripts/lint

sanity: setup ## ansible-test sanity, on both versions of ansible-core
	@scripts/sanity

unit: setup ## Unit tests; those of plugins, playbooks and roles on both versions of ansible-core
	@scripts/unit

stage: setup engine ## What scenarios and the rehearsed site have in common: images, model, wheels
	rehearsal/bin/images
	rehearsal/bin/model
	rehearsal/bin/wheelhouse

molecule: stage ## Every scenario, or SCENARIO=x
	molecule test $(if $(SCENARIO),-s $(SCENARIO),--all)

integration: setup engine ## Tests of the rehearsed site
	python -m pytest tests/integration

# Every scenario has a host of its own, and most of the time waits for it: so two run at a time.
on_hosts := python -m pytest --numprocesses 2 --verbose --durations 0 --durations-min 20 tests/integration tests/scenarios -m

hosts: stage ## The rehearsed site and the scenarios of the roles
	$(on_hosts) "not long and not drill"

hosts-all: stage ## The rehearsed site and every scenario that is not a drill
	$(on_hosts) "not drill"

test: setup lint sanity unit hosts ## What a change is tested with: linters, sanity, unit tests, the site, the roles

test-all: setup lint sanity unit hosts-all ## Everything but the drills; what CI runs

drills: stage ## What takes longest, for who changes what it proves (docs/testing.md)
	python -m pytest --verbose --durations 0 -m drill tests/scenarios

bench-plan: setup ## How long planning a fleet takes; written to docs/benchmarks.md
	python tests/bench/bench_plan.py --write

bench-convert: setup ## How long converting a checkpoint takes; written to docs/benchmarks.md
	python tests/bench/bench_convert.py --write

bench-site: setup ## What a run of the site costs that has nothing to do; written to docs/benchmarks.md
	python tests/bench/bench_site.py --write

engine: ## A Docker engine on this machine
	rehearsal/bin/engine

images: engine ## The images of the rehearsal
	rehearsal/bin/images

rehearse: ## Serve a model on this machine, without a GPU, by the real playbook
	@scripts/setup --first-only
	ansible-playbook -i inventories/rehearsal tritonops.trtllm.rehearse

rehearse-clean: ## Remove what the rehearsal started; images and downloads stay
	rehearsal/bin/clean

build: setup ## The collection's tarball, in .cache
	ansible-galaxy collection build --force --output-path .cache
