"""Stage corpus: text datasets from formulas, market rows, computed questions and your own files."""


rule survey_formulas:
    output:
        f"{RESULTS}/corpus/formulas.json",
    log:
        f"{LOGS}/survey_formulas.log",
    benchmark:
        f"{BENCHMARKS}/survey_formulas.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=by_attempt(600),
        runtime=minutes(5),
    params:
        formulas=lambda wc: {family: catalogue.digest(family) for family in catalogue.families()},
    script:
        "../scripts/corpus/survey_formulas.py"


rule write_part:
    input:
        bars=part_bars,
        features=part_features,
        file=part_file,
    output:
        samples=f"{CORPUS}/parts/{{part}}.jsonl",
        account=f"{CORPUS}/parts/{{part}}.json",
    log:
        f"{LOGS}/write_part/{{corpus}}/{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/write_part/{{corpus}}/{{part}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(20, per_input=0.05),
    params:
        settings=part_settings,
        seed=study.seed,
        market=lambda wc: market_param(wc, lambda: corpus_settings(wc).market),
        symbols=lambda wc: market_param(wc, lambda: study.corpus_symbols(wc.corpus)),
        timeframe=lambda wc: market_param(wc, lambda: rows_timeframe(wc)),
        source_timeframe=lambda wc: market_param(wc, lambda: study.markets[corpus_settings(wc).market].timeframe),
        partition=lambda wc: market_param(wc, lambda: study.markets[corpus_settings(wc).market].partition),
        digests=part_digests,
        phrasings=phrasings_of,
        formulas=formulas_of,
        parameters=parameters_of,
        code=part_code,
    script:
        "../scripts/corpus/write_part.py"


rule assemble_corpus:
    input:
        parts=part_files,
    output:
        train=f"{CORPUS}/{{format}}/train.jsonl",
        validation=f"{CORPUS}/{{format}}/validation.jsonl",
        test=f"{CORPUS}/{{format}}/test.jsonl",
        quarantine=f"{CORPUS}/{{format}}/quarantine.jsonl",
    log:
        f"{LOGS}/assemble_corpus/{{corpus}}/{{format}}.log",
    benchmark:
        f"{BENCHMARKS}/assemble_corpus/{{corpus}}/{{format}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500, per_input=20),
        runtime=minutes(10, per_input=0.1),
    params:
        splits=lambda wc: corpus_settings(wc).splits.model_dump(mode="json"),
        checks=lambda wc: corpus_settings(wc).checks.model_dump(mode="json", include={"on_violation", "max_characters"}),
    script:
        "../scripts/corpus/assemble_corpus.py"


rule order_phase:
    input:
        f"{CORPUS}/messages/train.jsonl",
    output:
        samples=f"{CORPUS}/phases/{{phase}}.jsonl",
        account=f"{CORPUS}/phases/{{phase}}.json",
    log:
        f"{LOGS}/order_phase/{{corpus}}/{{phase}}.log",
    benchmark:
        f"{BENCHMARKS}/order_phase/{{corpus}}/{{phase}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500, per_input=20),
        runtime=minutes(5, per_input=0.1),
    params:
        phases=phases_until,
        shortfall=lambda wc: corpus_settings(wc).curriculum.shortfall,
        seed=study.seed,
    script:
        "../scripts/corpus/order_phase.py"


rule write_benchmark:
    input:
        lambda wc: [
            f"{CORPUS}/parts/{name}.jsonl".format(**wc)
            for name, part in corpus_settings(wc).parts.items()
            if part.kind == "domain"
        ],
    output:
        f"{CORPUS}/benchmark.jsonl",
    log:
        f"{LOGS}/write_benchmark/{{corpus}}.log",
    benchmark:
        f"{BENCHMARKS}/write_benchmark/{{corpus}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500, per_input=20),
        runtime=minutes(5, per_input=0.1),
    params:
        domains=lambda wc: domains_of(wc.corpus),
        per_domain=lambda wc: corpus_settings(wc).benchmark.per_domain,
        seed=study.seed,
        phrasings=lambda wc: {each: phrasings.digest(f"domains/{each}") for each in domains_of(wc.corpus)},
        parameters=lambda wc: parameter_digests(domains_of(wc.corpus)),
        code=lambda wc: domain_code(domains_of(wc.corpus)),
    script:
        "../scripts/corpus/write_benchmark.py"


rule check_corpus:
    input:
        parts=all_parts,
        splits=split_files,
        benchmark=benchmark_files,
    output:
        f"{CORPUS}/checks.json",
    log:
        f"{LOGS}/check_corpus/{{corpus}}.log",
    benchmark:
        f"{BENCHMARKS}/check_corpus/{{corpus}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=40),
        runtime=minutes(20, per_input=0.1),
    params:
        formats=lambda wc: formats_of(wc.corpus),
        parts=lambda wc: {name: part.kind for name, part in corpus_settings(wc).parts.items()},
        checks=lambda wc: corpus_settings(wc).checks.model_dump(mode="json"),
        seed=study.seed,
        parameters=lambda wc: parameter_digests(domains_of(wc.corpus)),
        code=lambda wc: domain_code(domains_of(wc.corpus)),
    script:
        "../scripts/corpus/check_corpus.py"


rule describe_corpus:
    input:
        checks=f"{CORPUS}/checks.json",
        accounts=lambda wc: [f"{CORPUS}/parts/{part}.json".format(**wc) for part in corpus_settings(wc).parts],
        splits=split_files,
        phases=lambda wc: phase_files(wc, "jsonl"),
        phase_accounts=lambda wc: phase_files(wc, "json"),
        benchmark=benchmark_files,
    output:
        card=f"{CORPUS}/card.json",
        page=f"{CORPUS}/README.md",
    log:
        f"{LOGS}/describe_corpus/{{corpus}}.log",
    benchmark:
        f"{BENCHMARKS}/describe_corpus/{{corpus}}.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(500, per_input=10),
        runtime=minutes(5, per_input=0.05),
    params:
        formats=lambda wc: formats_of(wc.corpus),
        settings=lambda wc: corpus_settings(wc).model_dump(mode="json"),
        source=corpus_source,
        symbols=lambda wc: study.corpus_symbols(wc.corpus),
    script:
        "../scripts/corpus/describe_corpus.py"
