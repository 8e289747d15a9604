SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all chaos hosts soak bench fuzz big jazzy lint house clean distclean

# Which Python makes .venv (3.10 to 3.13), and further words for the command behind a target.
export PYTHON
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  make demo ARGS="--bag my_bag" (with ROS 2 sourced ARGS="bag:=my_bag") and make test ARGS="-k planning" pass words on'

setup: ## prepare .venv (or, with ROS 2 sourced, a colcon build) and install the package
	@tools/bootstrap.sh

demo: setup ## fly the shipped images through four satellites
	@tools/demo.sh $(ARGS)

lint: setup ## ruff, import contracts, sizes of rooms and files; mypy: types
	@tools/lint.sh

house: ## the largest rooms and files; fails at what is too large
	@python3 tools/house.py $(ARGS)

test: setup ## lint and all tests, the flights over DDS included
	@tools/lint.sh
	@tools/test.sh $(ARGS)

test-all: setup ## make test and what it leaves out as slow (about 20 min more)
	@tools/lint.sh
	@tools/test.sh --all $(ARGS)

chaos: setup ## kill, stop, cut, slow and forge in real flights; table in docs/reliability.md (about half an hour)
	@tools/fly.sh chaos.run $(ARGS)

hosts: setup ## fly between network namespaces, a host each: slow, lossy and cut links; table in docs/reliability.md (about 50 min)
	@tools/fly.sh hosts.run $(ARGS)

soak: setup ## 100,000 batches without a fault: what grows? table in docs/reliability.md
	@tools/fly.sh chaos.soak $(ARGS)

bench: setup ## speed and size of the codecs, beside memcpy
	@tools/satllm.sh bench codec $(ARGS)

fuzz: setup ## a million corrupted frames through every codec
	@tools/fuzz.sh $(ARGS)

big: setup ## a model of 1.84 billion parameters in five processes of at most 2 GB; needs 13 GB of memory, 5 GB of disk
	@tools/fly.sh gigantic.run $(ARGS)

jazzy: ## the demo and the tests of the nodes on ROS 2 Jazzy from PyPI, in .venv-jazzy (6 GB more)
	@tools/jazzy.sh $(ARGS)

clean: ## remove what building and testing left, keep .venv and runs/
	rm -rf build install log .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv and .venv-jazzy too
	rm -rf .venv .venv-jazzy
