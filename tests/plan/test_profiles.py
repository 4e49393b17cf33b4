"""The clouds' profiles: each plans the default study, and what a job asks for is what the plugin reads.

No cloud is asked. A server on loopback plays an empty bucket (S3 and Google Cloud Storage), the API of Google Batch is
a mock, that of AWS Batch is moto: the requests are what the plugins' own code makes of the jobs.
"""

import os
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest

from scripts.common.errors import StudyError
from scripts.execution import requests
from tests.plan.clouds import CLOUDS, TRADER, arguments, empty_bucket, planned, request
from tests.planning import copy_checkout

for name in CLOUDS:
    pytest.importorskip(f"snakemake_executor_plugin_{name.replace('-', '_')}")

GPU_RULES = {"build_base", "train_sft", "score_reference", "train_dpo", "train_grpo", "verify_gguf", "evaluate_llm"}
PLANNED = GPU_RULES - {"train_grpo"}  # no recipe of the default study has it


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("profiles"))


@pytest.mark.parametrize("profile", CLOUDS)
def test_a_profile_plans_the_default_study(folder, profile):
    command = [sys.executable, "-m", "snakemake", "--profile", f"profiles/{profile}", "--dry-run", "--quiet", "rules"]
    with empty_bucket() as address:
        if profile != "googlebatch":
            command += ["--storage-s3-endpoint-url", address]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "GOOGLE_", "SNAKEMAKE"))}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "STORAGE_EMULATOR_HOST": address}
        done = subprocess.run(command, cwd=folder, env=kept | keys, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    assert counts["ingest_symbol"] == "7" and counts["build_base"] == "1"


def requests_of(folder, profile, device):
    """``{rule: resources}`` of a job of every rule of the default study."""
    with planned(folder, profile, config={"device": device}) as flow:
        jobs = {job.rule.name: job.wildcards_dict for job in flow.dag._finished}
        chosen = [rule for rule in flow.rules if rule.script and rule.name in PLANNED | set(jobs)]
        found = {rule.name: request(rule, jobs.get(rule.name, TRADER)) for rule in chosen}
    assert set(found) >= PLANNED | {"ingest_symbol", "plan_folds", "write_part"}
    return found


def test_the_rules_that_may_ask_for_a_gpu_are_these(folder):
    with planned(folder, "kubernetes") as flow:
        assert {rule.name for rule in flow.rules if "gpu" in rule.resources} == GPU_RULES


def test_kubernetes_jobs_ask_for_gpus_with_limits_and_cpu_jobs_for_none(folder):
    found = requests_of(folder, "kubernetes", "cuda")
    for rule, asked in found.items():
        assert asked.scale == 0 and asked.gpu_manufacturer == "nvidia", rule
        assert 10_000 <= asked.disk_mb <= 50_000, rule
        assert asked.get("gpu") == (1 if rule in GPU_RULES else None), rule
    assert not any("gpu" in dict(asked) for asked in requests_of(folder, "kubernetes", "cpu").values())


def google_job(resources, rule="train_sft"):
    """The job that the plugin for Google Batch would create, as a message of Google's API."""
    from google.cloud import batch_v1
    from snakemake_executor_plugin_googlebatch.executor import GoogleBatchExecutor

    args, settings = arguments("googlebatch")
    executor = object.__new__(GoogleBatchExecutor)
    executor.executor_settings, executor.logger, executor.batch = settings, mock.Mock(), mock.Mock()
    executor.workflow = mock.Mock(executor_settings=settings)
    executor.workflow.remote_execution_settings.container_image = args.container_image
    executor.workflow.remote_execution_settings.preemptible_rules.is_preemptible.return_value = False
    executor.workflow.spawned_job_args_factory.envvars.return_value = {}
    executor.format_job_exec = lambda job: f"{args.precommand} && true"
    executor.read_snakefile = lambda: ""
    executor.report_job_submission = lambda info: None
    job = SimpleNamespace(name=rule, resources=resources, rule=SimpleNamespace(name=rule), is_group=lambda: False)
    job.logfile_suggestion = lambda folder: str(os.devnull)
    executor.run_job(job)
    return batch_v1.Job(executor.batch.create_job.call_args.args[0].job)


def test_a_google_batch_job_has_the_memory_time_and_gpus_of_the_rule(folder, capsys):
    found = requests_of(folder, "googlebatch", "cuda")
    for rule, asked in found.items():
        made = google_job(asked, rule)
        task, policy = made.task_groups[0].task_spec, made.allocation_policy.instances[0]
        assert 0 <= task.compute_resource.memory_mib * 2**20 - asked.mem_mb * 10**6 < 2**20, rule
        assert task.compute_resource.cpu_milli == 1000 * asked._cores, rule
        assert task.max_run_duration.total_seconds() == 60 * asked.runtime, rule
        assert [(each.type_, each.count) for each in policy.policy.accelerators] == (
            [("nvidia-tesla-t4", 1)] if rule in GPU_RULES else []
        )
        assert policy.install_gpu_drivers == (rule in GPU_RULES)
        assert policy.policy.machine_type.startswith("n1-" if rule in GPU_RULES else "n2-"), rule
        # a container, on the system for containers, on a disk with that system
        assert [each.container.image_uri for each in task.runnables if each.container.image_uri] == ["quantmake:0.1.0"]
        assert policy.policy.boot_disk.image.endswith("batch-cos-stable-official")
        assert policy.policy.boot_disk.size_gb == 100 and task.max_retry_count == 0
    for asked in requests_of(folder, "googlebatch", "cpu").values():
        assert "nvidia_gpu" not in dict(asked)


def test_an_aws_batch_job_has_at_least_the_memory_and_cores_of_the_rule(folder, monkeypatch):
    from moto import mock_aws
    from snakemake_executor_plugin_aws_batch.batch_client import BatchClient
    from snakemake_executor_plugin_aws_batch.batch_job_builder import BatchJobBuilder

    for each in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(each, "test")
    args, settings = arguments("aws-batch")
    # what the rules say themselves, under another executor
    plain = requests_of(folder, "kubernetes", "cuda")
    with mock_aws():
        client = BatchClient(region_name=settings.region)
        for rule, asked in requests_of(folder, "aws-batch", "cuda").items():
            job, logger = SimpleNamespace(name=rule, resources=asked), mock.Mock()
            BatchJobBuilder(logger, job, {}, args.container_image, settings, "true", client).build_job_definition()
            assert not logger.warning.called, f"{rule}: {logger.warning.call_args}"
            made = client.client.describe_job_definitions()["jobDefinitions"][-1]
            container = made["containerProperties"]
            needs = {each["type"]: int(each["value"]) for each in container["resourceRequirements"]}
            assert needs["MEMORY"] * 2**20 >= plain[rule].mem_mb * 10**6 and needs["VCPU"] >= plain[rule]._cores, rule
            assert needs.get("GPU") == (1 if rule in GPU_RULES else None), rule
            assert made["timeout"]["attemptDurationSeconds"] >= 60 * asked.runtime, rule
            client.deregister_job_definition(jobDefinition=made["jobDefinitionArn"])
    assert not any("_gpus" in dict(asked) for asked in requests_of(folder, "aws-batch", "cpu").values())


def test_memory_follows_the_attempt_in_the_words_of_each_cloud(folder):
    names = {"kubernetes": "mem_mb", "googlebatch": "googlebatch_memory", "aws-batch": "mem_mb"}
    for profile, name in names.items():
        with planned(folder, profile, config={"device": "cpu"}) as flow:
            rule = next(each for each in flow.rules if each.name == "train_sft")
            first, third = (request(rule, attempt=attempt).get(name) for attempt in (1, 3))
        assert third > 2 * first, profile


def test_other_executors_see_none_of_these_words(folder):
    with planned(folder, "kubernetes", config={"device": "cuda"}) as flow:
        flow._executor_plugin = SimpleNamespace(name="slurm")
        asked = request(next(each for each in flow.rules if each.name == "train_sft"))
    assert not {key for key in dict(asked) if key.startswith(("googlebatch", "nvidia", "_gpus"))} and asked.gpu == 1


@pytest.mark.parametrize(
    ("megabytes", "cores", "expected"),
    [
        (500, 1, (2048, 1)),
        (2500, 1, (3072, 1)),
        (2500, 2, (4096, 2)),
        (9000, 1, (9216, 2)),
        (125_000, 16, (122_880, 16)),
    ],
)
def test_the_smallest_size_of_aws_batch_that_holds_a_job(megabytes, cores, expected):
    assert requests.batch_size(megabytes, cores) == expected


def test_what_a_plugin_cannot_ask_for_is_an_error_that_says_so():
    with pytest.raises(StudyError, match="122880 MiB and 16 cores at most"):
        requests.batch_size(200_000, 1)
    with pytest.raises(StudyError, match="one GPU of a named model"):
        requests.google_gpus(2, "nvidia-l4")
    assert [requests.google_gpus(*each) for each in ((0, None), (2, None), (1, "nvidia-l4"))] == [None, 2, "nvidia-l4"]


@pytest.mark.parametrize(
    ("command", "precommand", "status"), [("false", "", 0), ("false", "ours", 1), ("true", "ours", 0)]
)
def test_a_google_batch_script_ends_with_the_status_of_its_job(tmp_path, command, precommand, status):
    """The first case is the plugin's own script: it ends well although its job failed."""
    from snakemake_executor_plugin_googlebatch.command import get_writer

    args, _ = arguments("googlebatch")
    whole = f"{args.precommand} && {command}" if precommand else command
    writer = get_writer("batch-cos-stable-official")(command=whole)
    script = writer.setup().replace("/tmp/workdir", f"{tmp_path}/work").replace("/tmp/quantmake", f"{tmp_path}/job")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\nexit 0\n")  # pip
    (tmp_path / "bin/python3").chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", script], env=environment, check=True, capture_output=True)
    done = subprocess.run(["bash", tmp_path / "work/entrypoint.sh"], env=environment, cwd=tmp_path, capture_output=True)
    assert done.returncode == status, done.stderr
