# One line per thing that people do. CONFIG chooses the study, CORES how many jobs run side by side:
#   make run CONFIG=studies/eth_stacking.yaml CORES=8
# PROFILE sends the jobs elsewhere: make run PROFILE=slurm; WORKERS is how many processes `make test` has
CONFIG ?= config.yaml
CORES ?= all
PYTHON ?= python3
WORKERS ?= 3
STUDY := $(or $(shell sed -n 's/^study: *\([A-Za-z0-9_.-]*\).*/\1/p' $(CONFIG)),laptop)
RESULTS := results/$(STUDY)
BIN := .venv/bin
SNAKEMAKE = $(BIN)/snakemake --configfile $(CONFIG) $(if $(PROFILE),--profile $(PROFILE),--cores $(CORES))
LOCAL = $(BIN)/snakemake --configfile $(CONFIG) --cores $(CORES)

.PHONY: help run report plan slurm-check dag verify cloud test lint chaos lock unlock schema clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 13

run: $(BIN)/.installed  ## make every artifact of the study that is missing or out of date, and its report
	@$(BIN)/python -m scripts.execution.runs $(STUDY)
	@$(BIN)/python -m scripts.common.recovery
	@$(SNAKEMAKE) $$(test -t 2 && echo --logger rich || echo --quiet host rules)
	@$(MAKE) --no-print-directory $(RESULTS)/report.html
	@echo "The study is up to date. Its page: $(RESULTS)/report.html"

report: $(BIN)/.installed  ## the study on one page: results/<study>/report.html
	@$(MAKE) --no-print-directory --always-make $(RESULTS)/report.html

$(RESULTS)/report.html: $(wildcard $(RESULTS)/manifest.json)
	@test -e $(RESULTS)/manifest.json || { echo "There is nothing to report yet: make run CONFIG=$(CONFIG)"; exit 1; }
	@$(LOCAL) --report $@ --report-stylesheet resources/report.css --quiet all

plan: $(BIN)/.installed  ## which jobs a run would run, and why (brings the manifests up to date first)
	@$(SNAKEMAKE) --quiet all -- plans
	@$(SNAKEMAKE) --quiet all --allowed-rules check_corpus check_recipe admit_recipe checks -- checks
	@$(SNAKEMAKE) --dry-run 2>&1 | $(BIN)/python -m scripts.common.dry_run

slurm-check: $(BIN)/.installed  ## whether the planned jobs can run on this SLURM cluster, and what profiles/slurm needs
	@$(BIN)/snakemake --configfile $(CONFIG) --profile slurm --dry-run 2>&1 | $(BIN)/python -m scripts.execution.check_slurm profiles/slurm

dag: $(BIN)/.installed  ## the rule graph by stage: mermaid in README.md and docs/rulegraph.svg
	@$(SNAKEMAKE) --rulegraph mermaid-js 2>/dev/null | $(BIN)/python -m scripts.report.draw_rulegraph README.md docs/rulegraph.svg

verify: $(BIN)/.installed  ## recompute every digest of the study's manifest
	@$(BIN)/python -m scripts.report.verify_results $(RESULTS)

cloud: $(BIN)/.installed-cloud  ## install what the profiles kubernetes, googlebatch and aws-batch need

test: $(BIN)/.installed-test lint  ## all tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

lint: $(BIN)/.installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile rules
	@$(BIN)/snakemake --lint

chaos: $(BIN)/.installed-test  ## kill a run at 30 random moments, rerun, and compare every file
	@$(BIN)/python -m pytest tests/end_to_end/test_kill.py --kills 30 -s

schema: $(BIN)/.installed  ## the JSON schema of a study's config, for editors, and docs/config.md
	@$(BIN)/python -m scripts.study schema > resources/study.schema.json
	@$(BIN)/python -m scripts.study reference > docs/config.md

lock: $(BIN)/.installed  ## resolve envs/*.in anew and write the pins
	@$(BIN)/python envs/lock.py

unlock: $(BIN)/.installed  ## after a crash: release the lock and remove unfinished outputs (`make run` does it too)
	@$(BIN)/python -m scripts.execution.runs $(STUDY)
	@$(BIN)/python -m scripts.common.recovery
	@$(SNAKEMAKE) --unlock

clean:  ## remove the study's results (not the environment)
	@rm -rf $(RESULTS) .work/$(STUDY)

$(BIN)/.installed: envs/requirements.txt
	@echo "Installing the pinned requirements into .venv (once; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r envs/requirements.txt
	@touch $@

$(BIN)/.installed-test: $(BIN)/.installed envs/test.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r envs/requirements.txt -r envs/test.txt
	@touch $@

$(BIN)/.installed-cloud: $(BIN)/.installed envs/cloud.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r envs/requirements.txt -r envs/cloud.txt
	@touch $@
