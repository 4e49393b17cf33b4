"""Edits of a study of language models (tests.tiny.CHAT) and the jobs that each must rerun.

The expected jobs follow from who reads what was edited. Facts of the study that they rest on: a base is pretrained on
the corpus; the recipe `student` trains three phases of SFT and DPO on it; the merged model becomes two GGUF files;
everything is asked two evaluation sets, `texts` (held_out) and `pairs`.
"""

from tests.plan.edits import REMOVED, Edit, code, key, lost, more, pin, text, together

ARTIFACTS = ("base", "sft-A", "sft-B", "sft-C", "dpo", "merged", "F32", "Q8_0")
QUANTS = ("F32", "Q8_0")
AFTER_DPO = ("dpo", "merged", *QUANTS)

TAIL = {"write_manifest", "tabulate_failures", "tabulate_times"}
TABLE = {"tabulate_llms", *TAIL}
COMPARED = {"compare_llms student", "draw_llms", *TABLE}
CHECKED = {"check_recipe student", "admit_recipe student"}
MERGED = {"merge_adapter student", "export_lora_gguf student"}
PREFERRED = {"score_reference student", "train_dpo student"}
LOSSES = {"draw_losses student"}


def judged(*artifacts):
    """The evaluations of some artifacts and what follows from them."""
    return {f"evaluate_llm {each} student" for each in artifacts} | COMPARED


def tuned(*phases):
    return {f"train_sft {each} student" for each in phases}


def verified(*quants):
    return {f"verify_gguf {each} student" for each in quants} | TABLE


def modelfiles(*quants):
    return {f"write_modelfile {each} student" for each in quants}


def converted(*quants):
    """GGUF files and what is made beside and of each; the wildcard that tells the base's file from them is empty."""
    return {f"convert_gguf {each} student " for each in quants} | verified(*quants) | modelfiles(*quants)


MADE = MERGED | converted(*QUANTS) | LOSSES
DPO = {"train_dpo student"} | MADE | judged(*AFTER_DPO)
TUNED = PREFERRED | MADE
ALL_TUNED = tuned("A", "B", "C") | TUNED | judged(*ARTIFACTS[1:])
BASE = {"build_base tiny", "convert_gguf F32 student -base"} | CHECKED | ALL_TUNED | judged("base")
CHECKED_CORPUS = {"check_corpus trading", "describe_corpus trading", "tabulate_corpora"}
GGUF = {f"convert_gguf {each} student " for each in QUANTS} | {"convert_gguf F32 student -base"}

NOTHING = [
    Edit("methods, kinds and quants that the study has not", code(
        "llm/merging.py", "llm/bases/hub.py", "llm/bases/merge.py", "llm/evaluations/harness.py",
        "llm/evaluations/questions.py", "llm/reinforcement.py", "llm/train_grpo.py",
    )),
    Edit("the models of the config", code("llm/settings.py", "llm/cross_references.py", "corpus/settings.py")),
    Edit("a pin of GRPO", pin("trl")),
    Edit("a pin of another stage", together(pin("lightgbm"), pin("onnxruntime"))),
    Edit("where jobs run: a partition",
         text("rules/llm.smk", "runtime=", "slurm_partition='gpu',\n        runtime=")),
    Edit("how often trainings save themselves", together(
        key("recipes.student.sft.checkpoints", 4), key("recipes.student.dpo.checkpoints", 20),
    )),
    Edit("a caption", more("resources/captions/llms.rst", "More.")),
    Edit("a phase that overrides a setting with the same value", key("recipes.student.phases.A.sft", {"batch": 8})),
]  # fmt: skip

CODE = [
    Edit("merging an adapter", code("llm/merge_adapter.py"),
         {"merge_adapter student"} | converted(*QUANTS) | judged("merged", *QUANTS)),
    Edit("the reference of DPO", code("llm/score_reference.py"), {"score_reference student"} | DPO),
    Edit("a script of a training", code("llm/train_dpo.py"), DPO),
    Edit("conversion", code("llm/convert_gguf.py"), GGUF | verified(*QUANTS) | judged(*QUANTS)),
    Edit("the checks of GGUF files", code("llm/gguf_checks.py"), verified(*QUANTS)),
    Edit("one kind of evaluation set", code("llm/evaluations/pairs.py"), judged(*ARTIFACTS)),
    Edit("answering", code("llm/answering.py"), judged(*ARTIFACTS)),
    Edit("comparisons", code("llm/comparisons.py"), {"compare_llms student"} | TABLE),
    Edit("Modelfiles, which the checks try", code("llm/modelfiles.py"),
         CHECKED | modelfiles(*QUANTS) | TABLE, "checks"),
    Edit("what is checked of a recipe", code("llm/recipe_checks.py"), CHECKED | TABLE, "checks"),
    Edit("the kind of base", code("llm/bases/scratch.py"), BASE),
    Edit("the table of language models", code("report/llm_table.py"), TABLE),
    Edit("the curves of losses", code("report/draw_losses.py"), LOSSES | TAIL),
    Edit("the pin of llama.cpp", pin("xllamacpp"), verified(*QUANTS) | judged(*ARTIFACTS)),
]  # fmt: skip

CONFIG = [
    Edit("beta of DPO", key("recipes.student.dpo.beta", 0.2), CHECKED | DPO, "checks"),
    Edit("the length of pairs, which the reference is scored at", key("recipes.student.dpo.max_length", 1000),
         CHECKED | {"score_reference student"} | DPO, "checks"),
    Edit("the first phase of SFT", key("recipes.student.phases.A", {"sft": {"epochs": 2}}),
         CHECKED | ALL_TUNED, "checks"),
    Edit("the last phase of SFT", key("recipes.student.phases.C.sft", {"learning_rate": 0.0004}),
         CHECKED | tuned("C") | TUNED | judged("sft-C", *AFTER_DPO), "checks"),
    Edit("a phase less", key("recipes.student.phases.C", REMOVED),
         CHECKED | TUNED | judged(*AFTER_DPO), "checks"),
    Edit("the rank of the adapter", key("recipes.student.adapter.r", 4), CHECKED | ALL_TUNED, "checks"),
    Edit("a training on two devices", key("recipes.student.parallel", {"kind": "data", "devices": 2}),
         CHECKED | ALL_TUNED, "checks"),
    Edit("no DPO", key("recipes.student.dpo", REMOVED), CHECKED | MADE | judged("merged", *QUANTS), "checks"),
    Edit("a quant more", key("recipes.student.export.quants", ["F32", "Q8_0", "F16"]),
         CHECKED | converted("F16") | judged("F16"), "checks"),
    Edit("a quant less", key("recipes.student.export.quants", ["F32"]), CHECKED | COMPARED, "checks"),
    Edit("a system prompt", key("recipes.student.export.modelfile", {"system": "Answer briefly."}),
         CHECKED | modelfiles(*QUANTS) | TABLE, "checks"),
    Edit("a gate of one quant", key("recipes.student.export.max_kl", {"Q8_0": 0.01}), verified("Q8_0")),
    Edit("texts that are compared", key("recipes.student.export.verified_texts", 7), verified(*QUANTS)),
    Edit("the size of an evaluation set", key("recipes.student.evaluation.texts.samples", 9), judged(*ARTIFACTS)),
    Edit("an evaluation set more",
         key("recipes.student.evaluation.more", {"kind": "pairs", "corpus": "trading", "samples": 4}),
         judged(*ARTIFACTS)),
    Edit("the base", key("bases.tiny.steps", 41), BASE),
    Edit("samples of a corpus that everything is trained on", key("corpora.trading.parts.states.per_symbol", 61),
         {"write_part trading states", "assemble_corpus trading messages"} | CHECKED_CORPUS | BASE),
    # the checks of the recipe read what those of its corpus found, and find the same; the trainings do not read it
    Edit("a limit of the corpus checks", key("corpora.trading.checks", {"max_masked_auc": 0.6}),
         CHECKED_CORPUS | CHECKED | TAIL, "checks"),
]  # fmt: skip

LOST = [
    Edit("an adapter is gone", lost("llm/student/dpo/adapter_model.safetensors"), DPO),
    Edit("a file of GGUF is gone", lost("llm/student/gguf/student-Q8_0.gguf"),
         {"convert_gguf Q8_0 student "} | verified("Q8_0") | judged("Q8_0")),
    Edit("an evaluation is gone", lost("llm/student/evaluation/sft-A.json"), judged("sft-A")),
]  # fmt: skip

EDITS = [*NOTHING, *CODE, *CONFIG, *LOST]
