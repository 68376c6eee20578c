# Portico: make up | test | bench | demo. Everything the targets need on Debian or Ubuntu they install themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
TOOLS := $(abspath target/tools)
DENY := $(TOOLS)/bin/cargo-deny
DENY_VERSION := 0.20.2
COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: deps
deps: ## install what building and running needs (Debian, Ubuntu; elsewhere it says what is missing)
	@./scripts/deps

.PHONY: build
build: deps ## the release binary: target/release/portico
	PORTICO_COMMIT=$(COMMIT) $(CARGO) build --release -p portico

.PHONY: up
up: build ## build and run everything in one process
	./target/release/portico up

.PHONY: test
test: test-deps format lint deny unit e2e doc ## everything that must hold

.PHONY: test-deps
test-deps:
	@./scripts/deps tests

.PHONY: format
format:
	$(CARGO) fmt --all --check

.PHONY: lint
lint:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

.PHONY: unit
unit:
	$(CARGO) test --workspace --exclude portico-tests

.PHONY: e2e
e2e: target/venv/ready target/clients/ready ## the platform through its front door
	$(CARGO) build -p portico
	$(CARGO) test -p portico-tests -- --test-threads 2

# The real S3 client and mail server of the tests.
target/venv/ready: tests/clients/requirements.txt
	python3 -m venv target/venv
	target/venv/bin/pip install -q -r $<
	touch $@

# The real GraphQL clients of the tests.
target/clients/ready: tests/clients/graphql/package.json tests/clients/graphql/clients.mjs tests/clients/graphql/remote.mjs
	mkdir -p target/clients
	cp $^ target/clients/
	cd target/clients && npm install --legacy-peer-deps --no-audit --no-fund --no-package-lock --loglevel=error
	touch $@

.PHONY: doc
doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Advisories need a database that only some networks reach; where it cannot be fetched, this says so and the rest still counts.
.PHONY: deny
deny: $(DENY)
	$(DENY) check licenses bans sources
	@$(DENY) fetch db 2>/dev/null && $(DENY) check advisories || echo "deny: the advisory database is not reachable from here; advisories were not checked"

$(DENY):
	$(CARGO) install cargo-deny --locked --version $(DENY_VERSION) --no-default-features --root $(TOOLS) --target-dir target/tools-build

.PHONY: bench
bench: build ## side by side with the systems people use today
	./bench/run

.PHONY: demo
demo: build ## walk the whole road with curl against a fresh instance
	./scripts/demo
