# Every command of the project; `make help` lists them. `make run` and `make test` need nothing else first.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# Compiled modules are kept, also where a shell says otherwise: without them each start compiles every package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test lint doctor synth deploy bench audit tax-report operator simulate prove fuzz docs screenshots prepare clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: ## the whole system on this machine, a broadcast one click away (ONAIR_PORT=8080, LAN=1 for a phone)
	@local/prepare.sh run
	@exec $(PYTHON) -m local.run

test: ## everything that must hold: lint, types, layers, unit, infra, contract, access, integration, relay, browser
	@local/prepare.sh test
	@$(PYTHON) -m tests.run

lint: prepare ## format check, lint, types, layers
	@$(PYTHON) -m tests.run lint

doctor: ## busy ports and missing parts, each with its fix
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m local.doctor; else python3 local/doctor.py; fi

synth: prepare ## the CloudFormation template, in cdk.out/ (no AWS account, no Docker)
	@$(PYTHON) app.py
	@echo "cdk.out/Onair.template.json"

deploy: prepare ## to the AWS account of your credentials (docs/operate.md); CONTEXT="-c relay_image=…"
	@local/prepare.sh test
	@PATH="$(CURDIR)/.venv/bin:$$PATH" infra/node_modules/.bin/cdk deploy Onair $(CONTEXT)

bench: ## measure, and rewrite the table in docs/performance.md
	@local/prepare.sh test
	@$(PYTHON) -m bench.all

audit: prepare ## prove every coin of a ledger (LEDGER_TABLE=…, AWS_ENDPOINT_URL=… for a local one)
	@$(PYTHON) -m functions.wallet.audit

# Without DEPLOYED=1 the stack that `make run` started is meant: a forgotten endpoint must not appoint anyone on AWS.
LOCAL_AWS := AWS_ENDPOINT_URL=$${AWS_ENDPOINT_URL:-http://127.0.0.1:$$(($${ONAIR_PORT:-8080} + 2))} \
	AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1

operator: prepare ## name an operator: HANDLE=…; of the local stack, or with DEPLOYED=1 of the deployment of your credentials
	@$(if $(DEPLOYED),,$(LOCAL_AWS)) HANDLE="$(HANDLE)" $(PYTHON) -m functions.accounts.appoint

tax-report: prepare ## what was paid to whom in a year, with tax numbers opened: YEAR=… LEDGER_TABLE=… (docs/operate.md)
	@YEAR=$(YEAR) $(PYTHON) -m functions.wallet.tax_report

simulate: prepare ## replay one seeded run of rooms and wallet: SEED=…
	@SEED=$(SEED) $(PYTHON) -m pytest tests/simulation

prove: prepare ## a million simulated wallet operations on every core, and each seeded defect of the wallet caught
	@$(PYTHON) -m tests.simulation.wallet.simulation
	@$(PYTHON) -m pytest -q tests/simulation/wallet

fuzz: prepare ## broken bytes at every door of the relay, 100,000 each: SEED=…, FUZZ_INPUTS=…
	@FUZZ_INPUTS=$${FUZZ_INPUTS:-100000} $(PYTHON) -m pytest -q --timeout=1800 tests/relay/test_media_fuzz.py tests/relay/test_rtmp_fuzz.py

docs: prepare ## regenerate docs/openapi.json and docs/asyncapi.json
	@$(PYTHON) -m docs.generate

screenshots: ## every state of every screen at 390×844 and 1280×800, in .cache/screenshots
	@local/prepare.sh test
	@SCREENSHOTS=.cache/screenshots $(PYTHON) -m pytest tests/browser/test_screens.py

prepare:
	@local/prepare.sh run

clean: ## remove what can be made again
	rm -rf .cache cdk.out web/dist .venv web/node_modules tests/node_modules infra/node_modules
