# `make install`, then any of the others. PYTHON is the one that makes the virtual environment.
PYTHON ?= python3
BIN ?= .venv/bin

.PHONY: help install test long lint docs ci address

help:
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/'

install: ## a virtual environment with the exact versions that are tested
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e ".[test]"

test: ## what every change must pass, a few minutes on two cores
	$(BIN)/pytest

long: ## the rest: fuzzing at length, kills at random moments, several processes
	$(BIN)/pytest -m long

lint: ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: ## the site, in site/, once the pages of tasks show what their code prints
	$(BIN)/python docs/batches.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

ci: ## everything, from a fresh clone of the last commit: tests, notebooks, lint, lowest bounds, the README's main command
	.ci/run

address: ## make address ADDRESS=owner/name: where the repository lies, in the notebooks and READMEs
	grep -rl OWNER/nlpbook-recipes notebooks README*.md | xargs sed -i 's#OWNER/nlpbook-recipes#$(ADDRESS)#g'
