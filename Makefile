# The two commands a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
export PYTHON VENV
BIN := $(VENV)/bin

.PHONY: help demo test lint fix bench docs lock matrix clean

help: ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## the main job, offline: Claude clients that never restart for a new key
	@.ci/setup demo
	@$(BIN)/secretkit demo $(ARGS)

test: ## everything, installing what it needs
	@.ci/setup dev
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

lint: ## formatting, types, rooms, dependencies, spelling, and our own scanner on our own tree
	@.ci/setup dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry secretkit
	$(BIN)/interrogate -q secretkit
	$(BIN)/codespell --toml pyproject.toml $$(git ls-files '*.py' '*.md' '*.toml' Makefile)
	$(BIN)/python -m secretkit.scan .

fix: ## let the formatter and the linter repair what they can
	@.ci/setup dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: ## speed and memory, side by side with the peers, in one run
	@.ci/setup dev
	$(BIN)/python -m benchmarks $(ARGS)

docs: ## check that every command and link in the documents works
	@.ci/setup dev
	$(BIN)/pytest -q tests/test_docs.py tests/test_examples.py

lock: ## pin every dependency with its hashes (needs uv)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o .ci/lock/core.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --extra claude --group build -c .ci/lock/core.txt -o .ci/lock/demo.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --all-extras --group build --group test --group lint --group bench -c .ci/lock/demo.txt -o .ci/lock/dev.txt

matrix: ## the suite on every Python from 3.11 on that this machine has
	@for version in 3.11 3.12 3.13 3.14; do \
	  python=$$(command -v python$$version) && $$python --version >/dev/null 2>&1 || { echo "python$$version: not on this machine"; continue; }; \
	  $(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version || exit 1; \
	done

clean: ## remove what the commands above made
	rm -rf .venv .venv-* dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
