"""Stage report: figures, tables, the page, the manifest and its verification. Reads the files of all stages.

Memory does not grow with the input's size here: Snakemake asks for resources while it makes the page, and for sizes
that way it warns once per figure.
"""


report: "../resources/captions/workflow.rst"


rule draw_quality:
    input:
        quality=f"{MARKET}/quality.json",
        accounts=lambda wc: [f"{MARKET}/bars/{s}.json".format(**wc) for s in market_settings(wc).symbols],
    output:
        figure=report(
            f"{REPORT}/market/{{market}}/quality.svg",
            caption="../resources/captions/quality.rst",
            category="2 Market",
            subcategory="{market}",
            labels={"shows": "bars per month"},
        ),
        table=report(
            f"{REPORT}/market/{{market}}/quality.html",
            caption="../resources/captions/findings.rst",
            category="2 Market",
            subcategory="{market}",
            labels={"shows": "findings"},
        ),
        csv=f"{REPORT}/market/{{market}}/quality.csv",
    log:
        f"{LOGS}/draw_quality/{{market}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_quality/{{market}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    params:
        timeframe=lambda wc: market_settings(wc).timeframe,
    script:
        "../scripts/report/draw_quality.py"


rule draw_folds:
    input:
        folds=lambda wc: ancient(folds_at(wc) and f"{STACK}/folds.json".format(**wc)),
    output:
        report(
            f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}/folds.svg",
            caption="../resources/captions/folds.rst",
            category="3 Ensemble",
            subcategory="{ensemble}",
            labels={"target": "{target}", "timeframe": "{timeframe}", "shows": "1 folds"},
        ),
    log:
        f"{LOGS}/draw_folds/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_folds/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    params:
        plan=folds_digest,
        folds=lambda wc: stack_settings(wc).folds.model_dump(mode="json", exclude={"per_job", "holdout", "warmup"}),
        horizon=lambda wc: labels.lookahead(stack_settings(wc).label.model_dump()),
    script:
        "../scripts/report/draw_folds.py"


rule draw_auc:
    input:
        gate=f"{STACK}/gate.json",
        metrics=f"{STACK}/metrics.json",
    output:
        report(
            f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}/auc.svg",
            caption="../resources/captions/auc.rst",
            category="3 Ensemble",
            subcategory="{ensemble}",
            labels={"target": "{target}", "timeframe": "{timeframe}", "shows": "2 AUC"},
        ),
    log:
        f"{LOGS}/draw_auc/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_auc/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    script:
        "../scripts/report/draw_auc.py"


rule draw_calibration:
    input:
        metrics=f"{STACK}/metrics.json",
    output:
        report(
            f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}/calibration.svg",
            caption="../resources/captions/calibration.rst",
            category="3 Ensemble",
            subcategory="{ensemble}",
            labels={"target": "{target}", "timeframe": "{timeframe}", "shows": "3 calibration"},
        ),
    log:
        f"{LOGS}/draw_calibration/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_calibration/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    script:
        "../scripts/report/draw_calibration.py"


rule draw_correlation:
    input:
        diversity=f"{STACK}/diversity.json",
    output:
        report(
            f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}/correlation.svg",
            caption="../resources/captions/correlation.rst",
            category="3 Ensemble",
            subcategory="{ensemble}",
            labels={"target": "{target}", "timeframe": "{timeframe}", "shows": "4 correlation"},
        ),
    log:
        f"{LOGS}/draw_correlation/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_correlation/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    script:
        "../scripts/report/draw_correlation.py"


rule draw_importance:
    input:
        importance=f"{STACK}/importance.parquet",
    output:
        report(
            f"{REPORT}/ensemble/{{ensemble}}/{{target}}/{{timeframe}}/importance.svg",
            caption="../resources/captions/importance.rst",
            category="3 Ensemble",
            subcategory="{ensemble}",
            labels={"target": "{target}", "timeframe": "{timeframe}", "shows": "5 importance"},
        ),
    log:
        f"{LOGS}/draw_importance/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_importance/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    script:
        "../scripts/report/draw_importance.py"


rule tabulate_gates:
    input:
        gates=lambda wc: [f"{STACK}/gate.json".format(**each) for each in stacks()],
        metrics=lambda wc: [f"{STACK}/metrics.json".format(**each) for each in stacks()],
    output:
        html=report(
            f"{REPORT}/gates.html",
            caption="../resources/captions/gates.rst",
            category="1 Study",
            labels={"shows": "2 gates"},
        ),
        csv=f"{REPORT}/gates.csv",
    log:
        f"{LOGS}/tabulate_gates.log",
    benchmark:
        f"{BENCHMARKS}/tabulate_gates.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        stacks=lambda wc: [list(each.values()) for each in stacks()],
    script:
        "../scripts/report/tabulate_gates.py"


rule summarize_study:
    input:
        manifests=manifests(),
        quality=[f"{MARKET}/quality.json".format(market=market) for market in study.markets],
        metadata=[f"{MARKET}/asset_metadata.json".format(market=market) for market in study.markets],
        folds=lambda wc: fold_plans(),
        gates=lambda wc: [f"{STACK}/gate.json".format(**each) for each in stacks()],
        metrics=lambda wc: [f"{STACK}/metrics.json".format(**each) for each in stacks()],
    output:
        report(
            f"{REPORT}/overview.html",
            caption="../resources/captions/overview.rst",
            category="1 Study",
            labels={"shows": "1 overview"},
        ),
    log:
        f"{LOGS}/summarize_study.log",
    benchmark:
        f"{BENCHMARKS}/summarize_study.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        title=study.report.title,
        note=study.report.note,
        study=study.study,
        sources={name: market.source.kind for name, market in study.markets.items()},
        stacks=lambda wc: [list(each.values()) for each in stacks()],
    script:
        "../scripts/report/summarize_study.py"


rule tabulate_corpora:
    input:
        checks=[f"{CORPUS}/checks.json".format(corpus=corpus) for corpus in study.corpora],
        accounts=[
            f"{CORPUS}/parts/{part}.json".format(corpus=corpus)
            for corpus, settings in study.corpora.items()
            for part in settings.parts
        ],
        phases=[
            f"{CORPUS}/phases/{phase}.json".format(corpus=corpus)
            for corpus, settings in study.corpora.items()
            for phase in settings.curriculum.phases
        ],
        catalogue=f"{RESULTS}/corpus/formulas.json",
    output:
        html=report(
            f"{REPORT}/corpora.html",
            caption="../resources/captions/corpora.rst",
            category="4 Corpus",
            labels={"shows": "corpora and formulas"},
        ),
        csv=f"{REPORT}/corpora.csv",
    log:
        f"{LOGS}/tabulate_corpora.log",
    benchmark:
        f"{BENCHMARKS}/tabulate_corpora.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        corpora={
            name: {"parts": list(each.parts), "phases": list(each.curriculum.phases)}
            for name, each in study.corpora.items()
        },
    script:
        "../scripts/report/tabulate_corpora.py"


rule tabulate_llms:
    input:
        preflights=lambda wc: [f"{RECIPE}/preflight.json".format(recipe=recipe) for recipe in study.recipes],
        trainings=lambda wc: [file for recipe in study.recipes for file in training_files(recipe, "training.json")],
        verifications=lambda wc: [
            f"{GGUF}.verify.json".format(recipe=recipe, quant=quant)
            for recipe in study.recipes
            for quant in quants_of(recipe)
        ],
        evaluations=lambda wc: evaluation_files(),
        comparisons=lambda wc: [
            f"{RECIPE}/evaluation/comparison.json".format(recipe=recipe)
            for recipe, settings in study.recipes.items()
            if settings.evaluation
        ],
    output:
        html=report(
            f"{REPORT}/llms.html",
            caption="../resources/captions/llms.rst",
            category="5 LLM",
            labels={"shows": "1 artifacts of all recipes"},
        ),
        csv=f"{REPORT}/llms.csv",
    log:
        f"{LOGS}/tabulate_llms.log",
    benchmark:
        f"{BENCHMARKS}/tabulate_llms.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        recipes=lambda wc: {recipe: recipe_told(recipe) for recipe in study.recipes},
        planted=lambda wc: planted_signals(),
    script:
        "../scripts/report/tabulate_llms.py"


rule draw_llms:
    input:
        evaluations=lambda wc: evaluation_files(),
    output:
        report(
            f"{REPORT}/llms.svg",
            caption="../resources/captions/llm_figure.rst",
            category="5 LLM",
            labels={"shows": "2 accuracy and held-out loss"},
        ),
    log:
        f"{LOGS}/draw_llms.log",
    benchmark:
        f"{BENCHMARKS}/draw_llms.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    params:
        recipes=lambda wc: {recipe: recipe_told(recipe) for recipe in study.recipes},
        planted=lambda wc: planted_signals(),
    script:
        "../scripts/report/draw_llms.py"


rule draw_losses:
    input:
        metrics=lambda wc: training_files(wc.recipe, "metrics.jsonl"),
        summaries=lambda wc: training_files(wc.recipe, "training.json"),
    output:
        report(
            f"{REPORT}/llm/{{recipe}}/losses.svg",
            caption="../resources/captions/losses.rst",
            category="5 LLM",
            subcategory="{recipe}",
            labels={"shows": "3 losses"},
        ),
    log:
        f"{LOGS}/draw_losses/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/draw_losses/{{recipe}}.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(10),
    params:
        stages=lambda wc: recipe_settings(wc).stages,
    script:
        "../scripts/report/draw_losses.py"


rule write_manifest:
    input:
        listed,
    output:
        manifest=f"{RESULTS}/manifest.json",
        checksums=f"{RESULTS}/SHA256SUMS",
    log:
        f"{LOGS}/write_manifest.log",
    benchmark:
        f"{BENCHMARKS}/write_manifest.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(60),
    params:
        records=".snakemake/metadata",
    script:
        "../scripts/report/write_manifest.py"


# Timings are no artifacts: they come after the manifest, and the manifest does not list them.
rule tabulate_times:
    input:
        manifest=f"{RESULTS}/manifest.json",
    output:
        html=report(
            f"{BENCHMARKS}/times.html",
            caption="../resources/captions/times.rst",
            category="1 Study",
            labels={"shows": "3 time per rule"},
        ),
        csv=f"{BENCHMARKS}/times.csv",
        attempts=f"{BENCHMARKS}/attempts.csv",
    log:
        f"{LOGS}/tabulate_times.log",
    benchmark:
        f"{BENCHMARKS}/tabulate_times.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        benchmarks=lambda wc: BENCHMARKS,
    script:
        "../scripts/report/tabulate_times.py"


# Like timings: what happened on the way is no artifact. A failed job writes its record itself; the params say that
# there is a new one.
rule tabulate_failures:
    input:
        manifest=f"{RESULTS}/manifest.json",
    output:
        html=report(
            f"{BENCHMARKS}/failures.html",
            caption="../resources/captions/failures.rst",
            category="1 Study",
            labels={"shows": "4 failed trainings"},
        ),
    log:
        f"{LOGS}/tabulate_failures.log",
    benchmark:
        f"{BENCHMARKS}/tabulate_failures.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(10),
    params:
        study=lambda wc: RESULTS,
        records=lambda wc: failure_records.digest(RESULTS),
    script:
        "../scripts/report/tabulate_failures.py"


# Has no input, so that asking for it rebuilds nothing, and no output, so that it runs each time.
rule verify_results:
    log:
        f"{LOGS}/verify_results.log",
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(500),
        runtime=minutes(60),
    params:
        study=RESULTS,
    script:
        "../scripts/report/verify_results.py"


# What failed and what to do, where people look after a run that stopped: on the terminal, and as a page.
onerror:
    failed = failure_records.unresolved(RESULTS)
    for line in failure_page.lines(failed):
        print(line, file=sys.stderr)
    if failed:
        failure_page.write(f"{RESULTS}/failures/index.html", failed)
