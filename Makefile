# Every verb does its own set-up in .venv/, from a fresh clone with Python 3.11 to 3.13 and make.
#   make demo            needs nothing else
#   make test ARGS="tests/model -k taxonomy"
#   make train CATALOG=shop.csv BUNDLE=models/shop/1 ARGS="--config my.toml"
#   make tune TRAIN=train.csv VAL=val.csv SEARCH=runs/search
#   make serve BUNDLE=models/shop/1 PORT=50051
#   make load-test CATALOG=val.csv RATE=200
#   make bench-accuracy DATA=../shared/data ARGS="--parts mwpd2020"

PYTHON ?= python3
BUNDLE ?= models/shop/1
SEARCH ?= runs/search
PORT ?= 50051
TARGET ?= localhost:$(PORT)
IMAGE ?= aisle
DATA ?= ../shared/data
WEIGHTS ?= ../shared/weights
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.requirements-installed
DEV_STAMP := $(VENV)/.requirements-dev-installed
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test proto proto-check client-wheel lint format train tune serve load-test bench-serving bench-accuracy bench-noise bench-sampling bench-retrieval peers soak chaos overload fuzz image clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: proto ## set up, make the demo catalog, train, serve, classify, print, stop
	$(BIN)/python -m demo $(ARGS)

test: $(DEV_STAMP) proto ## set up, run every test (ARGS="..." goes to pytest)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

proto: $(RUN_STAMP) ## build the stubs of proto/**/*.proto into aisle_client/ and server/open_inference/
	@$(BIN)/python -m contract.generate

proto-check: $(DEV_STAMP) ## buf lint, breaking changes since the release, Java and Go where their protoc plugins are
	$(BIN)/python -m contract.check

client-wheel: $(RUN_STAMP) ## the client alone as a wheel in dist/, for other projects (pip install ./client does the same)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist ./client
	@ls dist/aisle_client-*.whl

lint: $(DEV_STAMP) proto proto-check ## ruff check, ruff format --check, mypy, proto-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV_STAMP) ## let ruff repair and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train: proto ## CATALOG=FILE BUNDLE=DIR: catalog in, bundle out (TRAIN=FILE VAL=FILE in place of one file)
	@test -n "$(CATALOG)" -o -n "$(TRAIN)" -a -n "$(VAL)" || { echo "expected make train CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m training train $(if $(CATALOG),--catalog "$(CATALOG)",--train "$(TRAIN)" --val "$(VAL)") \
	  --bundle "$(BUNDLE)" $(ARGS)

tune: proto ## TRAIN=FILE VAL=FILE SEARCH=DIR: search for better settings (ARGS="--trials 60 --workers 2")
	@test -n "$(TRAIN)" -a -n "$(VAL)" || { echo "expected make tune TRAIN=FILE VAL=FILE [SEARCH=DIR]" >&2; exit 2; }
	$(BIN)/python -m training tune --train "$(TRAIN)" --val "$(VAL)" --search "$(SEARCH)" $(ARGS)

serve: proto ## BUNDLE=DIR PORT=N: answer over gRPC until Ctrl-C
	$(BIN)/python -m server --bundle "$(BUNDLE)" --port "$(PORT)" $(ARGS)

load-test: proto ## CATALOG=FILE RATE=N [TARGET=HOST:PORT]: latency of a running server (ARGS="--rates 100 200 --png FILE")
	@test -n "$(CATALOG)" || { echo "expected make load-test CATALOG=FILE [RATE=N] [TARGET=HOST:PORT]" >&2; exit 2; }
	$(BIN)/python -m client load-test --target "$(TARGET)" --catalog "$(CATALOG)" $(if $(RATE),--rate "$(RATE)") $(ARGS)

bench-serving: $(DEV_STAMP) proto ## BUNDLE=DIR CATALOG=FILE: throughput and latency compared with the ceiling, TensorFlow and peers (long)
	@test -n "$(CATALOG)" || { echo "expected make bench-serving CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m benchmarks.serving.comparison --bundle "$(BUNDLE)" --catalog "$(CATALOG)" --picture-px 224 640 $(ARGS)

bench-accuracy: $(DEV_STAMP) proto ## DATA=DIR WEIGHTS=DIR: the required accuracy, compared with TF-IDF + linear SVM (hours)
	$(BIN)/python -m benchmarks.accuracy.targets --data "$(DATA)" --weights "$(WEIGHTS)" $(ARGS)

bench-noise: $(DEV_STAMP) proto ## DATA=DIR: training through planted wrong labels, methods compared on clean rows (hours)
	$(BIN)/python -m benchmarks.labeling.noise --data "$(DATA)" $(ARGS)

bench-sampling: $(DEV_STAMP) proto ## DATA=DIR: training on a long tail, ways to sample compared by head, tail and calibration
	$(BIN)/python -m benchmarks.accuracy.sampling --data "$(DATA)" $(ARGS)

bench-retrieval: $(DEV_STAMP) proto ## an index of 100,000 products: recall, speed, changes beside queries, kill -9 (ARGS="--products 1000000")
	$(BIN)/python -m benchmarks.retrieval.index $(ARGS)

peers: $(foreach peer,triton mosec mlserver,build/peers/$(peer)/.installed) ## the environments of bench-serving's other servers

soak: proto ## BUNDLE=DIR CATALOG=FILE: 10 minutes at 70 % load: constant memory, no failed call, no wrong answer
	@test -n "$(CATALOG)" || { echo "expected make soak CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m benchmarks.resilience.soak --bundle "$(BUNDLE)" --catalog "$(CATALOG)" $(ARGS)

chaos: proto ## BUNDLE=DIR CATALOG=FILE: inject faults into a server: no wrong answer, none lost, quick recovery
	@test -n "$(CATALOG)" || { echo "expected make chaos CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m benchmarks.resilience.chaos --bundle "$(BUNDLE)" --catalog "$(CATALOG)" $(ARGS)
	$(BIN)/python -m benchmarks.resilience.held_open --bundle "$(BUNDLE)" --catalog "$(CATALOG)"

overload: proto ## BUNDLE=DIR CATALOG=FILE: 5 times the highest load, then a new version under load: goodput and latency
	@test -n "$(CATALOG)" || { echo "expected make overload CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m benchmarks.resilience.overload --bundle "$(BUNDLE)" --catalog "$(CATALOG)" $(ARGS)

fuzz: proto ## BUNDLE=DIR CATALOG=FILE: 100,000 mutated requests and pictures: no crash, no leak
	@test -n "$(CATALOG)" || { echo "expected make fuzz CATALOG=FILE [BUNDLE=DIR]" >&2; exit 2; }
	$(BIN)/python -m benchmarks.resilience.fuzz --bundle "$(BUNDLE)" --catalog "$(CATALOG)" $(ARGS)

image: ## IMAGE=NAME: the container of the CPU server, see deploy/
	docker build --file deploy/Dockerfile --tag "$(IMAGE)" .

clean: ## remove what was built; models/, runs/ and .venv/ stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find aisle_client server -name '*_pb2*' -delete
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A stamp is newer than the requirements it was made from, so installing runs again only when they change.
# The stubs go with it: they belong to the version of protoc that is installed.
$(RUN_STAMP): requirements.txt requirements-server.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  "expected Python 3.11 to 3.13, found %d.%d; run make PYTHON=/path/to/python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $< into $(VENV) (the first time this downloads about 1 GB)"
	@$(PIP_INSTALL) -r $<
	@find aisle_client server -name '*_pb2*' -delete
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "installing $< into $(VENV)"
	@$(PIP_INSTALL) -r $<
	@touch $@

# Triton's stub links the libpython of Debian's own Python 3.11. Its wheel asks for packages of pytriton's, unused
# here, and was built before NumPy 2, with which it dies at the first text.
PEER_PYTHON ?= $(PYTHON)
build/peers/triton/.installed: PEER_PYTHON = /usr/bin/python3.11
build/peers/triton/.installed: PEER_WHEELS = nvidia-pytriton==0.7.0 numpy==1.26.4
build/peers/%/.installed: benchmarks/peers/requirements-%.txt benchmarks/peers/requirements-model.txt
	@test -x $(@D)/bin/python || $(PEER_PYTHON) -m venv $(@D)
	@echo "installing $< into $(@D)"
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@test -z "$(PEER_WHEELS)" || \
	  $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(PEER_WHEELS)
	@touch $@
