import base64
import hashlib
import importlib.metadata
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

boto3 = pytest.importorskip("boto3")
pytest.importorskip("snakemake_executor_plugin_kubernetes")
ThreadedMotoServer = pytest.importorskip("moto.server").ThreadedMotoServer

from tests.containerfile import variables  # noqa: E402
from tests.kubernetes.stub import Cluster  # noqa: E402
from tests.planning import copy_checkout  # noqa: E402

BUCKET = "quantmake-test"
# bars that are made up by the job itself: a pod sees no file of the machine that submits
STUDY = {
    "study": "pods",
    "seed": 7,
    "markets": {
        "made": {
            "source": {"kind": "simulate", "start": "2020-01-01", "end": "2020-03-01"},
            "symbols": ["AAA"],
            "partition": "month",
        }
    },
}


def write_wheel(name, folder):
    """A wheel of an installed distribution, of its own files: what the image's folder of wheels holds."""
    found = importlib.metadata.distribution(name)
    inside = f"{name.replace('-', '_')}-{found.version}.dist-info"
    kept = [each for each in found.files if "__pycache__" not in each.parts and ".." not in each.parts]
    kept = [each for each in kept if each.name not in ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")]
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{found.version}-py3-none-any.whl", "w") as wheel:
        rows = []
        for each in kept:
            data = found.locate_file(each).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            path = str(each) if ".dist-info" not in each.parts[0] else f"{inside}/{'/'.join(each.parts[1:])}"
            rows.append([path, f"sha256={digest}", len(data)])
            wheel.writestr(path, data)
        with wheel.open(f"{inside}/RECORD", "w") as raw:
            lines = [*rows, [f"{inside}/RECORD", "", ""]]
            raw.write("".join(",".join(map(str, line)) + "\n" for line in lines).encode())


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The environment of the image's processes: Containerfile's variables, with a folder of wheels made here."""
    wheels = tmp_path_factory.mktemp("image")
    for each in ("s3", "gcs", "fs"):
        write_wheel(f"snakemake-storage-plugin-{each}", wheels)
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return variables() | {"PIP_FIND_LINKS": str(wheels), "PATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def bucket():
    """The endpoint of an S3 server of moto with one empty bucket."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client(endpoint).create_bucket(Bucket=BUCKET)
    yield endpoint
    server.stop()


def client(endpoint):
    """A client of that server."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)


@pytest.fixture
def cluster(tmp_path, image):
    """The stub of an API server, its pods below a folder of this test."""
    stub = Cluster(tmp_path / "pods", image)
    stub.folder.mkdir()
    yield stub
    stub.close()


@pytest.fixture
def submit(tmp_path, cluster, bucket):
    """Run a checkout with profiles/kubernetes on the stub: ``submit(folder, *arguments)``."""

    def run(folder, *arguments):
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/kubernetes"]
        places = ["--default-storage-prefix", f"s3://{BUCKET}/{tmp_path.name}", "--storage-s3-endpoint-url", bucket]
        quick = ["--seconds-between-status-checks", "1", "--jobs", "2", "--retries", "1"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SNAKEMAKE")}
        environment |= {"KUBECONFIG": str(cluster.kubeconfig())}
        environment |= {f"SNAKEMAKE_STORAGE_S3_{each}_KEY": "test" for each in ("ACCESS", "SECRET")}
        whole = [*command, *places, *quick, *arguments]
        return subprocess.run(whole, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)

    return run


def checkout_of(folder, study=STUDY):
    """A checkout of the workflow with ``study`` as its default, known to git: Snakemake sends what git knows."""
    copy_checkout(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(study))
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return folder
