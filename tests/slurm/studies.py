"""Studies whose trainings are killed on the cluster: as small as a training with a middle can be."""

import copy

from tests.tiny import CHAT, STUDY

# two blocks of boosters on one symbol
BOOSTERS = copy.deepcopy(STUDY)
BOOSTERS["markets"]["made"] |= {"symbols": ["AAA"], "partition": "quarter"}
BOOSTERS["ensembles"]["up"] |= {
    "peers": [],
    "timeframes": {"1h": {}},
    "folds": STUDY["ensembles"]["up"]["folds"] | {"per_job": 12},
    "models": {"lgb": STUDY["ensembles"]["up"]["models"]["lgb"] | {"rounds": 200, "patience": 200}},
}
STACK = "ensemble/up/AAA/1h/lgb"
BLOCKS = {
    block: (f"{STACK}/folds/{block}", f"{STACK}/folds/{block}.index.json", f"{STACK}/oof/{block}.parquet")
    for block in ("b000", "b001")
}

# a base, one phase of SFT and DPO
CHATTERS = copy.deepcopy(CHAT)
CHATTERS["markets"]["made"] |= {"symbols": ["AAA"], "partition": "quarter"}
CHATTERS["corpora"]["trading"]["symbols"] = ["AAA"]
CHATTERS["recipes"]["student"]["sft"] |= {"epochs": 4}
CHATTERS["recipes"]["student"]["phases"] = {"A": {}}
CHATTERS["recipes"]["student"]["dpo"] |= {"epochs": 4}
ADAPTER = ("adapter_model.safetensors", "adapter_config.json", "metrics.jsonl", "training.json")
TRAININGS = {
    "build_base": ("llm/bases/tiny", "llm/bases/tiny.index.json"),
    "train_sft": tuple(f"llm/student/sft/A/{name}" for name in ADAPTER),
    "train_dpo": tuple(f"llm/student/dpo/{name}" for name in ADAPTER),
}


def target(outputs):
    """What to ask Snakemake for, so that ``outputs`` are made: the last of them."""
    return f"results/tiny/{outputs[-1]}"
