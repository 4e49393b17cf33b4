"""What every rule and every profile must be, whatever the study."""

import re
from pathlib import Path

import pytest
import yaml

from tests.planning import CHECKSUM_LIMIT, TRIGGERS, copy_checkout, workflow

ROOT = Path(__file__).parents[2]
STAGES = ("market", "ensemble", "corpus", "llm", "report")


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    with workflow(copy_checkout(tmp_path_factory.mktemp("rules"))) as flow:
        return [rule for rule in flow.rules if rule.name not in ("all", "plans", "checks")]


def test_every_script_rule_is_complete(rules):
    for rule in rules:
        assert rule.script, f"{rule.name} has no script"
        assert Path(rule.script).stem == rule.name, f"{rule.name} runs {rule.script}"
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", rule.name), f"{rule.name} is no verb_noun"
        if not rule.output:
            continue  # a check that runs each time it is asked for
        assert rule.log and f"/logs/{rule.name}" in str(rule.log[0]), f"{rule.name}: log"
        assert rule.benchmark and f"/benchmarks/{rule.name}" in str(rule.benchmark), f"{rule.name}: benchmark"
        assert {"mem_mb", "runtime"} <= set(rule.resources), f"{rule.name}: resources"
        assert rule.conda_env, f"{rule.name}: conda"


def test_a_rule_its_script_and_its_environment_belong_to_one_stage(rules):
    for rule in rules:
        stage = Path(rule.script).parent.name
        assert stage in STAGES
        assert Path(str(rule.snakefile)).stem == stage
        assert Path(str(rule.conda_env)).stem == stage, rule.name


def test_no_rule_retries(rules):
    assert not [rule.name for rule in rules if rule.restart_times]


def test_every_rule_with_a_script_knows_its_code(rules):
    for rule in rules:
        stage = Path(rule.script).parent.name
        positional = [value for value in rule.params if isinstance(value, str)]
        assert any(each.startswith(f"scripts/{stage}/{rule.name}.py@") for each in positional), rule.name
        assert any(each.startswith("scripts/common/job.py@") for each in positional), rule.name


def test_profiles_have_disjoint_keys_and_the_default_one_is_policy_only():
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    site = {"cores", "executor", "jobs", "resources", "default-resources", "set-resources", "retries"}
    assert not site & set(default)
    for path in ROOT.glob("profiles/*/config.yaml"):
        if path.parent.name != "default":
            assert not set(default) & set(yaml.safe_load(path.read_text())), path
    assert set(default["rerun-triggers"]) == TRIGGERS
    assert default["max-checksum-file-size"] == CHECKSUM_LIMIT


def test_the_house_has_its_rooms():
    for stage in STAGES:
        assert (ROOT / f"rules/{stage}.smk").is_file() and (ROOT / f"scripts/{stage}").is_dir()
        assert (ROOT / f"envs/{stage}.yaml").is_file() and (ROOT / f"tests/{stage}").is_dir()
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 60
    vague = [path for path in (ROOT / "scripts").rglob("*.py") if re.search("util|helper|misc|manager", path.name)]
    long = [path for path in (ROOT / "scripts").rglob("*.py") if len(path.read_text().splitlines()) > 450]
    assert not vague and not long


def test_imports_run_one_way():
    order = {"common": 0, "market": 1, "ensemble": 2, "corpus": 3, "llm": 4, "report": 5}
    for path in (ROOT / "scripts").rglob("*.py"):
        stage = path.relative_to(ROOT / "scripts").parts[0]
        for imported in re.findall(r"^\s*(?:from|import) scripts\.(\w+)", path.read_text(), re.M):
            if stage in order and imported in order:
                allowed = imported in (stage, "common") or (order[imported] < order[stage] and stage != "report")
                assert allowed and not (stage == "common" and imported != "common"), f"{path} imports {imported}"


def test_scripts_never_import_settings():
    """An edit of a default is a change of config, not of code."""
    for path in (ROOT / "scripts").rglob("*.py"):
        if path.name not in ("settings.py", "study.py"):
            assert not re.search(r"^\s*(from|import) scripts\.\w+\.settings", path.read_text(), re.M), path
