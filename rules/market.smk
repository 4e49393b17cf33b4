"""Stage market: raw bars to checked bars, and features by period."""


rule fetch_archive:
    output:
        f"{MARKET}/archive/{{symbol}}/{{month}}.parquet",
    log:
        f"{LOGS}/fetch_archive/{{market}}/{{symbol}}/{{month}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_archive/{{market}}/{{symbol}}/{{month}}.tsv"
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(600),
        runtime=minutes(10),
    params:
        source=lambda wc: market_settings(wc).source.model_dump(mode="json"),
        timeframe=lambda wc: market_settings(wc).timeframe,
    script:
        "../scripts/market/fetch_archive.py"


rule ingest_symbol:
    input:
        files=source_files,
    output:
        bars=f"{MARKET}/bars/{{symbol}}.parquet",
        account=f"{MARKET}/bars/{{symbol}}.json",
        quarantine=f"{MARKET}/quarantine/{{symbol}}.parquet",
    log:
        f"{LOGS}/ingest_symbol/{{market}}/{{symbol}}.log",
    benchmark:
        f"{BENCHMARKS}/ingest_symbol/{{market}}/{{symbol}}.tsv"
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10, per_input=0.05),
    params:
        source=lambda wc: market_settings(wc).source.model_dump(mode="json"),
        timeframe=lambda wc: market_settings(wc).timeframe,
        calendar=lambda wc: market_settings(wc).calendar,
        span=lambda wc: market_settings(wc).span.model_dump(mode="json"),
        checks=lambda wc: market_settings(wc).checks.model_dump(mode="json"),
        seed=lambda wc: study.seed if market_settings(wc).source.kind == "simulate" else None,
        code=source_code,
    script:
        "../scripts/market/ingest_symbol.py"


checkpoint survey_market:
    input:
        accounts=lambda wc: [f"{MARKET}/bars/{s}.json".format(**wc) for s in market_settings(wc).symbols],
    output:
        f"{MARKET}/manifest.json",
    log:
        f"{LOGS}/survey_market/{{market}}.log",
    benchmark:
        f"{BENCHMARKS}/survey_market/{{market}}.tsv"
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500),
        runtime=minutes(5),
    params:
        timeframe=lambda wc: market_settings(wc).timeframe,
        calendar=lambda wc: market_settings(wc).calendar,
        partition=lambda wc: market_settings(wc).partition,
    script:
        "../scripts/market/survey_market.py"


rule summarize_market:
    input:
        accounts=lambda wc: [f"{MARKET}/bars/{s}.json".format(**wc) for s in market_settings(wc).symbols],
        bars=lambda wc: [f"{MARKET}/bars/{s}.parquet".format(**wc) for s in market_settings(wc).symbols],
        quarantine=lambda wc: [f"{MARKET}/quarantine/{s}.parquet".format(**wc) for s in market_settings(wc).symbols],
    output:
        quality=f"{MARKET}/quality.json",
        summary=f"{MARKET}/data_summary.csv",
        metadata=f"{MARKET}/asset_metadata.json",
        quarantine=f"{MARKET}/quarantine.parquet",
    log:
        f"{LOGS}/summarize_market/{{market}}.log",
    benchmark:
        f"{BENCHMARKS}/summarize_market/{{market}}.tsv"
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(800, per_input=20),
        runtime=minutes(10, per_input=0.05),
    params:
        symbols=lambda wc: market_settings(wc).symbols,
        unseen=lambda wc: market_settings(wc).kept_out,
        split=lambda wc: market_settings(wc).split and market_settings(wc).split.model_dump(mode="json"),
        timeframe=lambda wc: market_settings(wc).timeframe,
        calendar=lambda wc: market_settings(wc).calendar,
        checks=lambda wc: market_settings(wc).checks.model_dump(mode="json"),
    script:
        "../scripts/market/summarize_market.py"


rule split_symbol:
    input:
        bars=f"{MARKET}/bars/{{symbol}}.parquet",
    output:
        train=f"{MARKET}/train/{{symbol}}.parquet",
        test=f"{MARKET}/test/{{symbol}}.parquet",
    log:
        f"{LOGS}/split_symbol/{{market}}/{{symbol}}.log",
    benchmark:
        f"{BENCHMARKS}/split_symbol/{{market}}/{{symbol}}.tsv"
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500, per_input=10),
        runtime=minutes(5, per_input=0.05),
    params:
        test=lambda wc: market_settings(wc).split.test,
    script:
        "../scripts/market/split_symbol.py"


rule compute_features:
    input:
        bars=lambda wc: bars_of(wc.market, [wc.symbol]),
    output:
        f"{MARKET}/features/{{features}}/{{timeframe}}/{{symbol}}/{{period}}.parquet",
    log:
        f"{LOGS}/compute_features/{{market}}/{{features}}/{{timeframe}}/{{symbol}}/{{period}}.log",
    benchmark:
        f"{BENCHMARKS}/compute_features/{{market}}/{{features}}/{{timeframe}}/{{symbol}}/{{period}}.tsv"
    wildcard_constraints:
        features=scoped("symbol"),
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(600, per_input=20),
        runtime=minutes(10, per_input=1),
    params:
        start=lambda wc: iso(features_start(wc)),
        timeframe=lambda wc: market_settings(wc).timeframe,
        digests=lambda wc: feature_digests(wc, [wc.symbol]),
        code=lambda wc: code.tokens(f"scripts/market/features/{wc.features}.py"),
        definition=lambda wc: feature_sets.definition_digest(wc.features),
    script:
        "../scripts/market/compute_features.py"


rule compute_panel:
    input:
        bars=lambda wc: bars_of(wc.market, market_settings(wc).symbols),
        industries=lambda wc: panel_file(wc, "industries"),
        factors=lambda wc: panel_file(wc, "factors"),
    output:
        f"{MARKET}/features/{{features}}/{{timeframe}}/panel/{{period}}.parquet",
    log:
        f"{LOGS}/compute_panel/{{market}}/{{features}}/{{timeframe}}/{{period}}.log",
    benchmark:
        f"{BENCHMARKS}/compute_panel/{{market}}/{{features}}/{{timeframe}}/{{period}}.tsv"
    wildcard_constraints:
        features=scoped("panel"),
    conda:
        "../envs/market.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(10, per_input=1),
    params:
        symbols=lambda wc: market_settings(wc).symbols,
        start=lambda wc: iso(features_start(wc)),
        timeframe=lambda wc: market_settings(wc).timeframe,
        digests=lambda wc: feature_digests(wc, market_settings(wc).symbols),
        inputs=panel_inputs,
        code=lambda wc: code.tokens(f"scripts/market/features/{wc.features}.py"),
        definition=lambda wc: feature_sets.definition_digest(wc.features),
    script:
        "../scripts/market/compute_panel.py"
