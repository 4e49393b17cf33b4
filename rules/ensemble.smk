"""Stage ensemble: walk-forward folds to a gated stack in one ONNX graph."""


checkpoint plan_folds:
    # a plain input, no function that asks for survey_market: Snakemake takes a checkpoint behind a checkpoint for
    # up to date before its params are known (docs/rebuilds.md)
    input:
        manifest=lambda wc: f"{MARKET}/manifest.json".format(market=study.ensembles[wc.ensemble].market),
    output:
        f"{STACK}/folds.json",
    log:
        f"{LOGS}/plan_folds/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/plan_folds/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(600),
        runtime=minutes(5),
    params:
        folds=lambda wc: stack_settings(wc).folds.model_dump(mode="json"),
        timeframe=lambda wc: wc.timeframe,
        source_timeframe=lambda wc: market_settings(wc).timeframe,
        calendar=lambda wc: market_settings(wc).calendar,
        partition=lambda wc: market_settings(wc).partition,
        horizon=lambda wc: labels.lookahead(stack_settings(wc).label.model_dump()),
        min_rows_to_stack=lambda wc: stack_settings(wc).gates.min_rows_to_stack,
    script:
        "../scripts/ensemble/plan_folds.py"


rule label_bars:
    input:
        bars=labelled_bars,
    output:
        f"{STACK}/labels/{{period}}.parquet",
    log:
        f"{LOGS}/label_bars/{{ensemble}}/{{target}}/{{timeframe}}/{{period}}.log",
    benchmark:
        f"{BENCHMARKS}/label_bars/{{ensemble}}/{{target}}/{{timeframe}}/{{period}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(600, per_input=20),
        runtime=minutes(5, per_input=0.5),
    params:
        label=lambda wc: stack_settings(wc).label.model_dump(mode="json"),
        timeframe=lambda wc: market_settings(wc).timeframe,
        read=label_window,
        digests=lambda wc: digests(study.ensembles[wc.ensemble].market, [wc.target], *label_window(wc).values()),
    script:
        "../scripts/ensemble/label_bars.py"


rule train_folds:
    input:
        unpack(block_rows),
    output:
        folds=directory(f"{STACK}/{{model}}/folds/{{block}}"),
        index=f"{STACK}/{{model}}/folds/{{block}}.index.json",
        oof=f"{STACK}/{{model}}/oof/{{block}}.parquet",
    log:
        f"{LOGS}/train_folds/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}/{{block}}.log",
    benchmark:
        f"{BENCHMARKS}/train_folds/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}/{{block}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=folds_megabytes(folds_per_job),
        runtime=folds_minutes(folds_per_job),
    params:
        kind=lambda wc: stack_settings(wc).models[wc.model].kind,
        settings=model_params,
        sets=sets_of,
        panels=lambda wc: panels_of(wc, sets_of(wc)),
        windows=block_windows,
        seed=study.seed,
        code=kind_code,
    script:
        "../scripts/ensemble/train_folds.py"


rule assemble_oof:
    input:
        oof=lambda wc: block_paths(wc, f"{STACK}/{{model}}/oof/{{block}}.parquet"),
        indexes=lambda wc: block_paths(wc, f"{STACK}/{{model}}/folds/{{block}}.index.json"),
        labels=lambda wc: rows_files(wc, [], out_of_fold_periods(wc))["labels"],
        extras=lambda wc: extra_files(wc, out_of_fold_periods(wc)),
    output:
        f"{STACK}/oof.parquet",
    log:
        f"{LOGS}/assemble_oof/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/assemble_oof/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(800, per_input=20),
        runtime=minutes(10, per_input=0.05),
    params:
        models=names,
        blocks=lambda wc: list(folds_at(wc)["blocks"]),
        extra=lambda wc: stack_settings(wc).meta.extra,
        extra_sets=extra_sets,
        extra_columns=extra_columns,
    script:
        "../scripts/ensemble/assemble_oof.py"


rule measure_importance:
    input:
        indexes=lambda wc: block_paths(wc, f"{STACK}/{{model}}/folds/{{block}}.index.json"),
    output:
        f"{STACK}/importance.parquet",
    log:
        f"{LOGS}/measure_importance/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_importance/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(600, per_input=20),
        runtime=minutes(5, per_input=0.05),
    params:
        models=names,
        blocks=lambda wc: list(folds_at(wc)["blocks"]),
    script:
        "../scripts/ensemble/measure_importance.py"


rule measure_diversity:
    input:
        oof=f"{STACK}/oof.parquet",
    output:
        f"{STACK}/diversity.json",
    log:
        f"{LOGS}/measure_diversity/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_diversity/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(800, per_input=20),
        runtime=minutes(5, per_input=0.5),
    params:
        max_correlation=lambda wc: stack_settings(wc).diversity.max_correlation,
        prune=lambda wc: stack_settings(wc).diversity.prune,
    script:
        "../scripts/ensemble/measure_diversity.py"


rule train_meta:
    input:
        oof=f"{STACK}/oof.parquet",
        diversity=f"{STACK}/diversity.json",
    output:
        meta=f"{STACK}/stacking_meta.json",
        stacked=f"{STACK}/stacked.parquet",
    log:
        f"{LOGS}/train_meta/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/train_meta/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10, per_input=1),
    params:
        kind=lambda wc: stack_settings(wc).meta.kind,
        settings=lambda wc: stack_settings(wc).meta.model_dump(mode="json", exclude={"kind", "extra"}),
        extra=lambda wc: stack_settings(wc).meta.extra,
        seed=study.seed,
        code=meta_code,
    script:
        "../scripts/ensemble/train_meta.py"


rule fit_final:
    input:
        unpack(final_rows),
        indexes=lambda wc: [
            f"{STACK}/{{model}}/folds/{block}.index.json".format(**wc) for block in folds_at(wc)["blocks"]
        ],
    output:
        model=f"{STACK}/final/{{model}}.{{ext}}",
        card=f"{STACK}/final/{{model}}.{{ext}}.json",
    log:
        f"{LOGS}/fit_final/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}.{{ext}}.log",
    benchmark:
        f"{BENCHMARKS}/fit_final/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}.{{ext}}.tsv"
    wildcard_constraints:
        ext="txt|ubj",
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=folds_megabytes(lambda wc: 1),
        runtime=folds_minutes(lambda wc: 1),
    params:
        kind=lambda wc: stack_settings(wc).models[wc.model].kind,
        settings=model_params,
        sets=sets_of,
        panels=lambda wc: panels_of(wc, sets_of(wc)),
        window=lambda wc: folds_at(wc)["final"],
        seed=study.seed,
        code=kind_code,
    script:
        "../scripts/ensemble/fit_final.py"


# The only rule that reads the hold-out; nothing that is trained or exported comes after it.
rule score_holdout:
    input:
        unpack(final_models),
        unpack(lambda wc: stack_rows(wc, holdout_periods(wc))),
        meta=f"{STACK}/stacking_meta.json",
    output:
        f"{STACK}/test.parquet",
    log:
        f"{LOGS}/score_holdout/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/score_holdout/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10, per_input=0.1),
    params:
        models=names,
        kinds=kinds,
        sets=model_sets,
        panels=lambda wc: panels_of(wc, stack_settings(wc).feature_sets),
        window=lambda wc: folds_at(wc)["holdout"],
        extra=lambda wc: stack_settings(wc).meta.extra,
        code=lambda wc: sorted({*model_code(wc), *meta_code(wc)}),
    script:
        "../scripts/ensemble/score_holdout.py"


rule gate_ensemble:
    input:
        unpack(gate_inputs),
    output:
        gate=f"{STACK}/gate.json",
        metrics=f"{STACK}/metrics.json",
    log:
        f"{LOGS}/gate_ensemble/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/gate_ensemble/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=40),
        runtime=minutes(10, per_input=0.5),
    params:
        decision=lambda wc: {key: folds_at(wc)[key] for key in ("decision", "reason", "rows")},
        gates=lambda wc: unless_skipped(wc, stack_settings(wc).gates.model_dump(mode="json")),
        horizon=lambda wc: unless_skipped(wc, labels.lookahead(stack_settings(wc).label.model_dump())),
        models=lambda wc: unless_skipped(wc, names(wc)),
    script:
        "../scripts/ensemble/gate_ensemble.py"


rule export_onnx:
    input:
        model=lambda wc: f"{STACK}/final/{{model}}.{extension(wc)}".format(**wc),
        card=lambda wc: f"{STACK}/final/{{model}}.{extension(wc)}.json".format(**wc),
    output:
        f"{STACK}/onnx/{{model}}.onnx",
    log:
        f"{LOGS}/export_onnx/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/export_onnx/{{ensemble}}/{{target}}/{{timeframe}}/{{model}}.tsv"
    wildcard_constraints:
        model=r"(?!ensemble\.onnx)[A-Za-z0-9_.-]+",
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10),
    params:
        kind=lambda wc: stack_settings(wc).models[wc.model].kind,
        code=kind_code,
    script:
        "../scripts/ensemble/export_onnx.py"


rule compose_onnx:
    input:
        graphs=lambda wc: model_paths(wc, f"{STACK}/onnx/{{model}}.onnx"),
        cards=lambda wc: model_paths(wc, f"{STACK}/final/{{model}}.{{ext}}.json"),
        meta=f"{STACK}/stacking_meta.json",
    output:
        f"{STACK}/onnx/ensemble.onnx",
    log:
        f"{LOGS}/compose_onnx/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/compose_onnx/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10),
    params:
        models=names,
        code=meta_code,
    script:
        "../scripts/ensemble/compose_onnx.py"


rule verify_onnx:
    input:
        unpack(final_models),
        unpack(lambda wc: stack_rows(wc, out_of_fold_periods(wc))),
        ensemble=f"{STACK}/onnx/ensemble.onnx",
        meta=f"{STACK}/stacking_meta.json",
    output:
        parity=f"{STACK}/onnx/parity.json",
        latency=f"{BENCHMARKS}/onnx_latency/{{ensemble}}/{{target}}/{{timeframe}}.json",
    log:
        f"{LOGS}/verify_onnx/{{ensemble}}/{{target}}/{{timeframe}}.log",
    benchmark:
        f"{BENCHMARKS}/verify_onnx/{{ensemble}}/{{target}}/{{timeframe}}.tsv"
    conda:
        "../envs/ensemble.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500, per_input=20),
        runtime=minutes(15, per_input=0.05),
    params:
        models=names,
        kinds=kinds,
        sets=lambda wc: stack_settings(wc).feature_sets,
        panels=lambda wc: panels_of(wc, stack_settings(wc).feature_sets),
        tolerance=1e-6,
        rows=20000,
        seed=study.seed,
        code=lambda wc: sorted({*model_code(wc), *meta_code(wc)}),
    script:
        "../scripts/ensemble/verify_onnx.py"
