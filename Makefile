# Frigo. `make help` dit ce qu'on peut faire ; tout se lance depuis la racine du dépôt.
SHELL := /bin/sh
PY := .venv/bin/python
SERVICES := app chat gpt asr diarize
SETUP = python=$$(sh scripts/find-python.sh) && "$$python" -m scripts.setup
PYTEST_WORKERS ?= 2
MOTEURS ?=
PYTEST = $(PY) -m pytest -n $(PYTEST_WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-slow docker-test lint format lock messages bench sample clean

help: ## Cette aide
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: ## Installer seulement (fait par les autres commandes)
	@$(SETUP)

run: ## Installer, construire et démarrer tout : http://127.0.0.1:5000 (Ctrl-C arrête ; MOTEURS="torch nemo pyannote" les ajoute)
	@$(SETUP) --run --engines "$(MOTEURS)" && exec $(PY) -m scripts.run

demo: ## Traiter la réunion d'exemple depuis le terminal, pendant que « make run » tourne
	@test -x $(PY) || { echo "Rien n'est installé : lancez d'abord « make run »." >&2; exit 1; }
	@$(PY) -m scripts.demo

test: ## Installer ce qu'il faut et passer les tests (TESTS=chemin pour une partie)
	@$(SETUP) --dev
	@PATH="$$PWD/.venv/bin:$$PATH" npm --prefix app/web run --silent test
	$(PYTEST) -m "not slow" $(TESTS)

test-slow: ## Les tests qui prennent des minutes
	@$(SETUP) --dev
	$(PYTEST) -m slow $(TESTS)

docker-test: ## Construire les images légères et y tenir la réunion d'exemple (demande Docker ; PARTS="light scale gpt production" pour plus)
	@$(SETUP)
	@$(PY) -m scripts.docker_test $(PARTS)

lint: ## ruff, mypy --strict et TypeScript
	@$(SETUP) --dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	@PATH="$$PWD/.venv/bin:$$PATH" npm --prefix app/web run --silent lint && echo "TypeScript : rien à redire"

format: ## Mettre le code Python en forme
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .

lock: ## Figer les dépendances : requirements.in -> requirements.txt
	@$(PY) -m scripts.lock

messages: ## Relever les messages français et mettre à jour les catalogues anglais
	@$(PY) -m scripts.messages

bench: ## Mesurer ce qui est publié dans docs/performances.md
	@$(SETUP) --dev
	@for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; $(PY) -m "bench.$$(basename "$$script" .py)" || exit 1; done

sample: ## Refabriquer la réunion d'exemple (demande flite)
	@$(PY) -m scripts.sample.make_sample

clean: ## Enlever ce qui a été installé et construit (garde data/ et .env)
	rm -rf .venv .venv.lock .engines app/web/node_modules app/web/dist chat/diagrams/validator/node_modules logs
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find app asr bench chat common diarize gpt scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
