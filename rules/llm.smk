"""Stage llm: a base model to adapters, a merged model, GGUF files and their evaluation."""


rule build_base:
    input:
        texts=base_texts,
        models=lambda wc: [model_of(name)["model"] for name in base_parents(wc)],
        indexes=lambda wc: [model_of(name)["index"] for name in base_parents(wc)],
        files=own_files,
    output:
        folder=directory(BASE),
        index=f"{BASE}.index.json",
    log:
        f"{LOGS}/build_base/{{base}}.log",
    benchmark:
        f"{BENCHMARKS}/build_base/{{base}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        **gpu_request(base_gpus),
        mem_mb=base_megabytes,
        runtime=base_minutes,
    params:
        settings=lambda wc: base_settings(wc).model_dump(mode="json"),
        names=base_parents,
        seed=lambda wc: study.seed if base_settings(wc).kind in ("scratch", "merge") else None,
        code=base_code,
    script:
        "../scripts/llm/build_base.py"


rule check_recipe:
    input:
        unpack(base_of),
        unpack(recipe_data),
    output:
        f"{RECIPE}/preflight.json",
    log:
        f"{LOGS}/check_recipe/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/check_recipe/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500, per_input=8, per_folder=0),
        runtime=minutes(10, per_input=0.5),
        # what was planned, not asked for: no param, where a training runs changes no result
        planned_gpus=training_gpus,
    params:
        recipe=recipe_params,
        corpus=lambda wc: recipe_settings(wc).corpus,
        parts=lambda wc: {name: part.kind for name, part in study.corpora[recipe_settings(wc).corpus].parts.items()},
    script:
        "../scripts/llm/check_recipe.py"


# A checkpoint, so that what changed is looked at after the checks: behind an ordinary rule that runs, Snakemake asks no
# job that takes its output as `ancient` for changed params. Nothing but trainings depends on it (docs/rebuilds.md).
checkpoint admit_recipe:
    input:
        f"{RECIPE}/preflight.json",
    output:
        ADMISSION,
    log:
        f"{LOGS}/admit_recipe/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/admit_recipe/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(400),
        runtime=minutes(5),
    script:
        "../scripts/llm/admit_recipe.py"


rule train_sft:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, stage_before(wc, f"sft-{wc.phase}"))),
        samples=lambda wc: phase_samples(wc, wc.phase),
        validation=lambda wc: corpus_file(wc, "messages", "validation"),
        preflight=preflight,
    output:
        adapter=f"{RECIPE}/sft/{{phase}}/adapter_model.safetensors",
        config=f"{RECIPE}/sft/{{phase}}/adapter_config.json",
        metrics=f"{RECIPE}/sft/{{phase}}/metrics.jsonl",
        summary=f"{RECIPE}/sft/{{phase}}/training.json",
    log:
        f"{LOGS}/train_sft/{{recipe}}/{{phase}}.log",
    benchmark:
        f"{BENCHMARKS}/train_sft/{{recipe}}/{{phase}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: training_processes
    resources:
        **training_request(lambda wc: f"sft-{wc.phase}"),
        **gpu_request(training_gpus),
    params:
        parallel=parallel_params,
        settings=lambda wc: training_params(wc, f"sft-{wc.phase}"),
        ordered=lambda wc: recipe_settings(wc).phases[wc.phase].curriculum is not None,
        lora=lambda wc: recipe_settings(wc).adapter.model_dump(mode="json"),
        base=lambda wc: recipe_settings(wc).base,
        seed=study.seed,
    script:
        "../scripts/llm/train_sft.py"


rule score_reference:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, last_phase(wc))),
        pairs=lambda wc: [corpus_file(wc, "preferences", split) for split in ("train", "validation")],
    output:
        scores=f"{RECIPE}/dpo/reference.parquet",
        account=f"{RECIPE}/dpo/reference.json",
    log:
        f"{LOGS}/score_reference/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/score_reference/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        **gpu_request(model_gpus),
        mem_mb=reference_megabytes,
        runtime=reference_minutes,
    params:
        cards=spread,
        settings=lambda wc: recipe_settings(wc).dpo.model_dump(
            mode="json", include={"parts", "samples", "max_length", "row_tokens"}
        ),
        dtype=lambda wc: recipe_settings(wc).dpo.dtype,
        attention=lambda wc: recipe_settings(wc).dpo.attention,
        four_bit=lambda wc: recipe_settings(wc).adapter.method == "qlora",
    script:
        "../scripts/llm/score_reference.py"


rule train_dpo:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, last_phase(wc))),
        pairs=lambda wc: [corpus_file(wc, "preferences", split) for split in ("train", "validation")],
        reference=f"{RECIPE}/dpo/reference.parquet",
        account=f"{RECIPE}/dpo/reference.json",
        preflight=preflight,
    output:
        adapter=f"{RECIPE}/dpo/adapter_model.safetensors",
        config=f"{RECIPE}/dpo/adapter_config.json",
        metrics=f"{RECIPE}/dpo/metrics.jsonl",
        summary=f"{RECIPE}/dpo/training.json",
    log:
        f"{LOGS}/train_dpo/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/train_dpo/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: training_processes
    resources:
        **training_request(lambda wc: "dpo"),
        **gpu_request(training_gpus),
    params:
        parallel=parallel_params,
        settings=lambda wc: training_params(wc, "dpo"),
        four_bit=lambda wc: recipe_settings(wc).adapter.method == "qlora",
        base=lambda wc: recipe_settings(wc).base,
        seed=study.seed,
    script:
        "../scripts/llm/train_dpo.py"


rule train_grpo:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, stage_before(wc, "grpo"))),
        prompts=lambda wc: corpus_file(wc, "prompts", "train"),
        preflight=preflight,
    output:
        adapter=f"{RECIPE}/grpo/adapter_model.safetensors",
        config=f"{RECIPE}/grpo/adapter_config.json",
        metrics=f"{RECIPE}/grpo/metrics.jsonl",
        summary=f"{RECIPE}/grpo/training.json",
    log:
        f"{LOGS}/train_grpo/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/train_grpo/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        **training_request(lambda wc: "grpo"),
        **gpu_request(model_gpus),
    params:
        cards=spread,
        settings=lambda wc: training_params(wc, "grpo"),
        four_bit=lambda wc: recipe_settings(wc).adapter.method == "qlora",
        base=lambda wc: recipe_settings(wc).base,
        seed=study.seed,
    script:
        "../scripts/llm/train_grpo.py"


rule merge_adapter:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, last_stage(wc))),
    output:
        folder=directory(f"{RECIPE}/merged"),
        index=f"{RECIPE}/merged.index.json",
    log:
        f"{LOGS}/merge_adapter/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/merge_adapter/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        # tensor by tensor: a few of the largest, the embedding, in float32
        mem_mb=megabytes(1500, per_input=2, per_folder=0.5),
        runtime=minutes(20, per_folder=0.01),
    params:
        base=lambda wc: recipe_settings(wc).base,
        recipe=lambda wc: wc.recipe,
        shard="5GB",
    script:
        "../scripts/llm/merge_adapter.py"


rule convert_gguf:
    input:
        unpack(converted),
    output:
        f"{RECIPE}/gguf/{{recipe}}{{source}}-{{quant}}.gguf",
    log:
        f"{LOGS}/convert_gguf/{{recipe}}/{{quant}}{{source}}.log",
    benchmark:
        f"{BENCHMARKS}/convert_gguf/{{recipe}}/{{quant}}{{source}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        # tensor by tensor, as merge_adapter
        mem_mb=megabytes(1500, per_folder=0.5),
        runtime=minutes(20, per_folder=0.01),
    params:
        quant=lambda wc: wc.quant,
        name=lambda wc: recipe_settings(wc).base if wc.source else wc.recipe,
    script:
        "../scripts/llm/convert_gguf.py"


rule export_lora_gguf:
    input:
        unpack(base_of),
        unpack(lambda wc: adapter_files(wc, last_stage(wc))),
    output:
        f"{RECIPE}/gguf/{{recipe}}-lora.gguf",
    log:
        f"{LOGS}/export_lora_gguf/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/export_lora_gguf/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=2, per_folder=0),
        runtime=minutes(10, per_input=0.05),
    params:
        name=lambda wc: wc.recipe,
        base=lambda wc: recipe_settings(wc).base,
    script:
        "../scripts/llm/export_lora_gguf.py"


rule write_modelfile:
    input:
        model=ancient(f"{RECIPE}/merged"),
        index=f"{RECIPE}/merged.index.json",
    output:
        f"{GGUF}.Modelfile",
    log:
        f"{LOGS}/write_modelfile/{{recipe}}/{{quant}}.log",
    benchmark:
        f"{BENCHMARKS}/write_modelfile/{{recipe}}/{{quant}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_folder=0),
        runtime=minutes(10),
    params:
        gguf=lambda wc: f"{wc.recipe}-{wc.quant}.gguf",
        settings=lambda wc: recipe_settings(wc).export.modelfile.model_dump(mode="json"),
    script:
        "../scripts/llm/write_modelfile.py"


rule verify_gguf:
    input:
        gguf=f"{GGUF}.gguf",
        model=ancient(f"{RECIPE}/merged"),
        index=f"{RECIPE}/merged.index.json",
        prompts=lambda wc: [corpus_file(wc, "messages", "test")],
    output:
        f"{GGUF}.verify.json",
    log:
        f"{LOGS}/verify_gguf/{{recipe}}/{{quant}}.log",
    benchmark:
        f"{BENCHMARKS}/verify_gguf/{{recipe}}/{{quant}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        **gpu_request(model_gpus),
        # the model in float32, twice its size in bfloat16, and the file in llama.cpp
        mem_mb=megabytes(2000, per_input=1.5, per_folder=2),
        runtime=verification_minutes,
    params:
        quant=lambda wc: wc.quant,
        texts=lambda wc: recipe_settings(wc).export.verified_texts,
        max_kl=lambda wc: recipe_settings(wc).export.max_kl.get(wc.quant),
        min_agreement=lambda wc: recipe_settings(wc).export.min_agreement.get(wc.quant),
        seed=study.seed,
    script:
        "../scripts/llm/verify_gguf.py"


rule evaluate_llm:
    input:
        unpack(artifact_files),
        sets=set_files,
        ensembles=ensemble_rows,
    output:
        evaluation=f"{RECIPE}/evaluation/{{artifact}}.json",
        answers=f"{RECIPE}/evaluation/{{artifact}}.answers.jsonl",
        latency=f"{BENCHMARKS}/llm_latency/{{recipe}}/{{artifact}}.json",
    log:
        f"{LOGS}/evaluate_llm/{{recipe}}/{{artifact}}.log",
    benchmark:
        f"{BENCHMARKS}/evaluate_llm/{{recipe}}/{{artifact}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        **gpu_request(evaluation_gpus),
        mem_mb=evaluation_megabytes,
        runtime=evaluation_minutes,
    params:
        artifact=lambda wc: wc.artifact,
        sets=evaluation_settings,
        predictions=ensemble_symbols,
        dtype=lambda wc: recipe_settings(wc).sft.dtype,
        seed=study.seed,
        code=evaluation_code,
    script:
        "../scripts/llm/evaluate_llm.py"


rule compare_llms:
    input:
        evaluations=lambda wc: [f"{RECIPE}/evaluation/{each}.json".format(**wc) for each in artifacts_of(wc.recipe)],
        answers=lambda wc: [
            f"{RECIPE}/evaluation/{each}.answers.jsonl".format(**wc) for each in artifacts_of(wc.recipe)
        ],
    output:
        f"{RECIPE}/evaluation/comparison.json",
    log:
        f"{LOGS}/compare_llms/{{recipe}}.log",
    benchmark:
        f"{BENCHMARKS}/compare_llms/{{recipe}}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000, per_input=20),
        runtime=minutes(20, per_input=0.5),
    params:
        artifacts=lambda wc: artifacts_of(wc.recipe),
        seed=study.seed,
    script:
        "../scripts/llm/compare_llms.py"
