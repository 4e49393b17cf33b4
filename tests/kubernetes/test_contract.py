"""Manifest and executor contract test against a stub: no Kubernetes runs here, and none of this says one would do.

What holds: the manifests of profiles/kubernetes are valid by the official schema and the API server's rules on
requests and limits; the command of a pod, run in an empty folder with the image's variables, makes the artifacts of a
local run with nothing but the bucket between the pods; a failed pod is tried again and then reported.
"""

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from tests.kubernetes.conftest import BUCKET, checkout_of, client
from tests.kubernetes.stub import RefusedError, check_resources
from tests.plan.clouds import arguments, planned, request
from tests.planning import copy_checkout
from tests.tiny import snakemake

MANIFEST = "results/pods/market/made/manifest.json"


def stored(endpoint, prefix):
    """``{path: sha256}`` of the artifacts in the bucket; logs and benchmarks are none."""
    s3, found = client(endpoint), {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/results/"):
        for key in (each["Key"] for each in page.get("Contents", [])):
            if not {"logs", "benchmarks"} & set(key.split("/")):
                body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                found[key.removeprefix(f"{prefix}/")] = hashlib.sha256(body).hexdigest()
    return found


def made(folder):
    """The same of a local run's results."""
    paths = [each for each in (folder / "results").rglob("*") if each.is_file()]
    kept = [each for each in paths if not {"logs", "benchmarks"} & set(each.relative_to(folder).parts)]
    return {each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in kept}


def memory(pod):
    return int(pod.container["resources"]["requests"]["memory"].removesuffix("M"))


def test_a_study_in_pods_equals_a_local_one_and_a_killed_pod_costs_a_retry(tmp_path, cluster, submit, bucket):
    """An ingest and the checkpoint that surveys it; the first pod is killed as a node's memory guard does it."""
    cluster.kills = 1
    done = submit(checkout_of(tmp_path / "pods_checkout"), MANIFEST)
    assert done.returncode == 0, done.stderr[-6000:]
    pods = list(cluster.jobs.values())
    assert [each.code for each in pods] == [137, 0, 0]
    # nothing was refused but the log of a run before the first: scripts/execution/pod_logs.py
    assert [status for status, _ in cluster.refused] == [400]
    assert done.stderr.count("Trying to restart job") == 1
    # the second attempt asks for more memory; requests are limits
    assert [memory(each) for each in pods] == [1000, 2000, 500]
    for pod in pods:
        resources = pod.container["resources"]
        assert resources["limits"]["memory"] == resources["requests"]["memory"]
        assert resources["limits"]["ephemeral-storage"] == "10000M" and "nvidia.com/gpu" not in resources["limits"]
        assert "tolerations" not in pod.manifest["spec"]["template"]["spec"]
        # keys of S3 come from a Secret, never in the manifest
        assert {"SNAKEMAKE_STORAGE_S3_SECRET_KEY"} <= {each["name"] for each in pod.container["env"]}
        assert not any("value" in each for each in pod.container["env"])
    assert not cluster.secrets and set(cluster.jobs) <= set(cluster.deleted)
    local = checkout_of(tmp_path / "local_checkout")
    snakemake(local, MANIFEST)
    assert stored(bucket, tmp_path.name) == made(local)


def test_a_pod_that_fails_again_is_one_clear_error_with_its_log(tmp_path, cluster, submit):
    """An image without the wheels of the storage plugins: the pod's first command fails."""
    cluster.image = cluster.image | {"PIP_FIND_LINKS": str(tmp_path)}
    target = MANIFEST.replace("manifest.json", "bars/AAA.json")
    done = submit(checkout_of(tmp_path / "checkout"), target)
    assert done.returncode == 1 and [each.code for each in cluster.jobs.values()] == [1, 1]
    assert done.stderr.count("Trying to restart job") == 1
    assert re.search(r"Error in rule ingest_symbol", done.stderr)
    # the error names a file with what the pod said
    log = Path(re.findall(r"(\S+kubernetes-logs/\S+\.log)", done.stderr)[-1])
    assert "No matching distribution found for snakemake-storage-plugin" in log.read_text()
    assert "Kubernetes request failed" not in done.stderr and not cluster.secrets


@pytest.fixture(scope="module")
def gpu_requests(tmp_path_factory):
    """What a training asks for with `device: cuda` and with `device: cpu`, under profiles/kubernetes."""
    folder = copy_checkout(tmp_path_factory.mktemp("gpu") / "checkout")  # the default study has a training
    found = {}
    for device in ("cuda", "cpu"):
        with planned(folder, "kubernetes", config={"device": device, "study": "pods"}) as flow:
            found[device] = request(next(each for each in flow.rules if each.name == "train_sft"))
    return found


def send(cluster, resources, monkeypatch):
    """Let the plugin's own code submit a job with these resources to the stub; nothing is run."""
    from snakemake_executor_plugin_kubernetes import Executor

    monkeypatch.setattr("tests.kubernetes.stub.Pod.run", lambda *_: None)
    args, settings = arguments("kubernetes")
    workflow = mock.Mock(executor_settings=settings)
    workflow.remote_execution_settings.container_image = args.container_image
    workflow.persistence.aux_path = cluster.folder
    monkeypatch.setattr("kubernetes.config.load_kube_config", lambda: None)
    import kubernetes

    address = f"http://127.0.0.1:{cluster.server.server_port}"
    kubernetes.client.Configuration.set_default(kubernetes.client.Configuration(host=address))
    executor = object.__new__(Executor)
    executor.workflow, executor.logger, executor.lock = workflow, mock.Mock(), mock.MagicMock()
    executor.envvars, executor.format_job_exec = dict, lambda job: "true"
    executor.report_job_submission = lambda info: None
    executor.__post_init__()
    executor.run_job(SimpleNamespace(resources=resources, jobid=1, attempt=1, is_containerized=False))
    return next(iter(cluster.jobs.values())).manifest["spec"]["template"]["spec"]


def test_a_gpu_is_asked_for_with_its_limit_and_reaches_the_nodes_that_have_some(cluster, gpu_requests, monkeypatch):
    pod = send(cluster, gpu_requests["cuda"], monkeypatch)
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"
    assert [each["key"] for each in pod["tolerations"]] == ["nvidia.com/gpu"]


def test_the_plugins_own_scale_is_refused_for_a_gpu(cluster, gpu_requests, monkeypatch):
    theirs = {name: value for name, value in gpu_requests["cuda"].items() if name != "scale"}
    with pytest.raises(WorkflowError, match="Limit must be set for non overcommitable resources"):
        send(cluster, theirs, monkeypatch)
    assert cluster.refused and not cluster.jobs


def test_a_training_on_the_cpu_asks_for_no_gpu_and_tolerates_no_gpu_node(cluster, gpu_requests, monkeypatch):
    pod = send(cluster, gpu_requests["cpu"], monkeypatch)
    assert "tolerations" not in pod and "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"requests": {"nvidia.com/gpu": "1"}}, "Limit must be set"),
        ({"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "2"}}, "must be equal"),
        ({"requests": {"memory": "2G"}, "limits": {"memory": "1G"}}, "less than or equal"),
        ({"requests": {"memory": "2GB"}}, "quantities"),
        ({"requests": {"gpu": "1"}}, "fully qualified"),
        ({"requests": {"cpu": "950m"}, "limits": {"cpu": "1000m", "nvidia.com/gpu": "1"}}, None),
    ],
)
def test_the_stub_refuses_what_an_api_server_refuses(resources, message):
    if message is None:
        return check_resources(resources)
    with pytest.raises(RefusedError, match=message):
        check_resources(resources)
    return None
