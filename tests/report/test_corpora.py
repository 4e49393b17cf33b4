"""The page of corpora tells verdicts, what failed and why, and what the catalogue holds."""

import csv
import json

from scripts.common.job import Job
from scripts.report import tabulate_corpora

RULE = {
    "name": "skeletons",
    "scope": "pairs",
    "passed": False,
    "value": 4,
    "limit": 40,
    "samples": 2550,
    "detail": "<b>&",
}
CHECKS = {
    "verdict": "refused",
    "reason": "pairs: skeletons is 4, limit 40",
    "rules": [RULE, RULE | {"name": "not_empty", "passed": True}, RULE | {"name": "masked_auc", "passed": None}],
    "figures": {
        "parts": {
            "pairs": {"skeletons": {"skeletons": 4, "largest_share": 0.27}, "defects": {"tells the outcome": 2550}}
        },
        "preferences": {
            "masked_auc": {"auc": 0.5, "low": 0.47, "high": 0.53, "pairs": 900},
            "predictability": {"auc": 0.52, "low": 0.49, "high": 0.55, "pairs": 900},
        },
    },
}
ACCOUNT = {"part": "pairs", "kind": "files", "samples": 2550}
PHASE = {
    "phase": "A",
    "samples": 30,
    "order": "blocks",
    "buckets": {
        each: {"wanted": 10, "available": 9, "taken": taken}
        for each, taken in (("easy", 10), ("medium", 11), ("hard", 9), ("extreme", 0))
    },
    "reallocated": [{"from": "hard", "to": "medium", "samples": 1}],
}
CATALOGUE = {
    "families": [
        {
            "title": "101 Formulaic Alphas",
            "entries": 101,
            "computed": 101,
            "functions": 0,
            "needs": {"industry": ["Alpha048", "Alpha059"]},
            "folklore": 0,
        },
        {"title": "Execution", "entries": 25, "computed": 2, "functions": 3, "needs": {}, "folklore": 4},
    ]
}


def make(folder, corpora):
    files = {"checks": CHECKS, "accounts": ACCOUNT, "phases": PHASE, "catalogue": CATALOGUE}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, sort_keys=True))
    inputs = {name: [str(folder / f"{name}.json")] * bool(corpora) for name in ("checks", "accounts", "phases")}
    inputs["catalogue"] = str(folder / "catalogue.json")
    outputs = {"html": str(folder / "corpora.html"), "csv": str(folder / "corpora.csv")}
    tabulate_corpora.main(Job(input=inputs, output=outputs, params={"corpora": corpora}))
    return (folder / "corpora.html").read_text(), list(
        csv.DictReader((folder / "corpora.csv").read_text().splitlines())
    )


def test_verdict_reasons_and_figures_are_told(tmp_path):
    page, rows = make(tmp_path, {"forex": {"parts": ["pairs"], "phases": ["A"]}})
    for said in ("Corpus forex", "refused", "pairs: skeletons is 4, limit 40", "2,550 tells the outcome", "27.00 %"):
        assert said in page
    assert "0.500 [0.470, 0.530]" in page and "0.520 [0.490, 0.550] on 900 later pairs" in page
    assert "<td>10</td><td>11 of 10</td><td>9 of 10</td><td>0 of 10</td><td>1 medium for hard</td>" in page
    assert "<b>&" not in page and "&lt;b&gt;&amp;" in page
    assert "not applied" in page and "not_empty" not in page
    assert [row["name"] for row in rows] == ["skeletons", "not_empty", "masked_auc"]


def test_the_catalogue_is_counted(tmp_path):
    page, rows = make(tmp_path, {})
    assert "industry: 2" in page and ">126<" in page and ">103<" in page
    assert rows == []
