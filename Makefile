# `make demo` and `make test` need only Python 3.11 and git: they make .venv themselves.
PYTHON ?= $(shell for python in python3.11 python3; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Two workers on two cores: more threads than that only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.DEFAULT_GOAL := help
.PHONY: help demo test check slow bench format types

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED)  ## Train, score, predict and compare on synthetic shapes; leaves runs/demo/report.html
	rm -rf runs/demo
	$(BIN)/parsenet fit --config configs/shapes/demo.yaml --run_dir runs/demo
	$(BIN)/python data_tools/shapes.py --out runs/demo/shapes --count 12
	$(BIN)/parsenet predict runs/demo/model.safetensors runs/demo/shapes/images/val \
	  --out runs/demo/labels --overlay 0.6
	$(BIN)/parsenet ablate configs/ablations/shapes.yaml --devices cpu,cpu --out runs/demo/ablation
	@echo "Look at runs/demo/report.html (images: runs/demo/samples, runs/demo/labels)"
	@echo "and at runs/demo/ablation/report.html."

test: $(INSTALLED)  ## Run the fast tests
	$(PYTEST)

check: $(INSTALLED)  ## Run what CI runs: formatting, rules, types, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

slow: $(INSTALLED)  ## Run the slow tests and those on the real images in PARSENET_DATA
	$(PYTEST) -m "slow or realdata"

bench: $(INSTALLED)  ## Time a training step, scoring, and the start of the command
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/start.py

format: $(INSTALLED)  ## Format the code and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(INSTALLED)  ## Check the types
	$(BIN)/mypy

# The stamp is older than these two files when they changed: then, and only then, install again.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "PYTHON must be Python 3.11 or newer, found none. Install it, or name it: make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
