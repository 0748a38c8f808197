# Every target works as the first command on a machine with Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PROTO_BIN := .venv-proto/bin
STUBS := clients/python
PROTOS := $(sort $(shell cd proto && find . -name '*.proto' | sed 's|^\./||'))

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-audit serve test check check-deep lint types contracts unit process \
	format proto proto-check proto-release bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: .venv/.ready ## Create .venv with everything the gateway and its tests need

.venv/.ready: requirements/dev.txt pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Bailee needs Python 3.11 or newer; say which: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

.venv-proto/.ready: requirements/proto.txt
	$(PYTHON) -m venv .venv-proto
	$(PROTO_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/proto.txt
	@touch $@

demo: setup ## Tokenize a card and move (simulated) money, from nothing; KEEP=1 keeps it in ./demo
	$(BIN)/bailee demo $(if $(KEEP),--keep demo)

demo-audit: setup ## A year of traffic, then a dishonest operator: who catches him
	$(BIN)/bailee demo-audit

serve: setup ## Serve the gateway in ./demo (made by `make demo KEEP=1`)
	@test -e demo/bailee.toml || { echo "There is no ./demo yet; make it: make demo KEEP=1"; exit 1; }
	$(BIN)/bailee serve demo

test: setup ## Unit and contract tests, then tests that start real processes
	$(BIN)/pytest -q -m "not deep and not process"
	$(BIN)/pytest -q -m "process and not deep"

check: lint types contracts proto-check test demo ## Everything CI runs; under ten minutes on two cores

check-deep: check ## Adds the long crash loops and the benchmark; run before a release
	$(BIN)/pytest -q -m deep
	$(MAKE) bench

lint: setup ## Style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

contracts: setup ## Which floor may import which
	$(BIN)/lint-imports --no-cache

format: setup ## Format the code and the protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	@if [ -x $(PROTO_BIN)/buf ]; then $(PROTO_BIN)/buf format -w proto; fi

proto: .venv-proto/.ready ## Regenerate the stubs in clients/python/bailee/v1
	$(PROTO_BIN)/buf format -w proto
	rm -rf $(STUBS)/bailee/v1
	$(PROTO_BIN)/python -m grpc_tools.protoc -I proto --plugin=protoc-gen-mypy=$(PROTO_BIN)/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=$(PROTO_BIN)/protoc-gen-mypy_grpc --python_out=$(STUBS) \
		--grpc_python_out=$(STUBS) --mypy_out=quiet:$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(PROTOS)
	@printf '"""Generated from proto/bailee/v1 by `make proto`. Do not edit."""\n' > $(STUBS)/bailee/v1/__init__.py

proto-check: .venv-proto/.ready ## Lint the API, refuse breaking changes, and compare the stubs
	$(PROTO_BIN)/buf lint proto
	$(PROTO_BIN)/buf format proto --diff --exit-code
	$(PROTO_BIN)/buf breaking proto --against proto/released.binpb
	@rm -rf build/proto-check && mkdir -p build/proto-check/bailee
	@$(MAKE) --no-print-directory proto STUBS=build/proto-check >/dev/null
	diff -r build/proto-check/bailee/v1 clients/python/bailee/v1 -x __pycache__

proto-release: .venv-proto/.ready ## Freeze today's API as the one buf breaking compares with
	$(PROTO_BIN)/buf build proto -o proto/released.binpb --exclude-source-info

bench: setup ## Rates beside a null handler and a bare server; writes build/bench.json
	$(BIN)/python -m tests.bench.run

clean: ## Remove what make made
	rm -rf .venv .venv-proto build demo
