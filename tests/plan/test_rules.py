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


def profiles():
    """``{name: settings}`` of all profiles."""
    return {path.parent.name: yaml.safe_load(path.read_text()) for path in ROOT.glob("profiles/*/config.yaml")}


def test_profiles_have_disjoint_keys_and_the_default_one_is_policy_only():
    """The default profile is always loaded and overrides the others key by key."""
    found = profiles()
    default = found.pop("default")
    site = {"cores", "executor", "jobs", "resources", "default-resources", "set-resources", "retries"}
    assert not site & set(default)
    for name, settings in found.items():
        assert not set(default) & set(settings), name
    assert set(default["rerun-triggers"]) == TRIGGERS
    assert default["max-checksum-file-size"] == CHECKSUM_LIMIT


def test_profiles_name_rules_that_exist(rules):
    known = {rule.name for rule in rules}
    for name, settings in profiles().items():
        named = {*settings.get("groups", {}), *settings.get("set-resources", {})}
        named |= {rule.strip() for rule in settings.get("slurm-array-jobs", "").split(",") if rule}
        assert named <= known, (name, named - known)


def test_no_profile_of_a_cluster_limits_resources():
    """`resources: mem_mb=16000` would cut the request of a job that needs 64 GB to 16, without a word."""
    for name, settings in profiles().items():
        assert "resources" not in settings, name


def test_the_slurm_profile_is_found_by_its_name_from_the_root():
    assert (ROOT / "slurm").is_symlink() and (ROOT / "slurm").resolve() == ROOT / "profiles/slurm"
    settings = profiles()["slurm"]
    assert settings["executor"] == "slurm" and settings["slurm-status-command"] == "squeue"
    assert set(settings["groups"].values()) == set(settings["group-components"])
    assert settings["default-resources"]["mem_mb"] >= 400


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
