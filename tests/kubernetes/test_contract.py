"""Manifest and executor contract test against a stub: no Kubernetes runs here, and none of this says one would do.

What holds: the manifests of profiles/kubernetes are valid by the official schema and the API server's rules on
requests and limits; the command of a pod, run in an empty folder with the image's variables, makes the artifacts of a
local run with nothing but the bucket between the pods; a failed pod is tried again and then reported.
"""

import hashlib

import pytest

from tests.kubernetes.conftest import BUCKET, STUDY, checkout_of, client
from tests.kubernetes.stub import RefusedError, check_resources
from tests.tiny import snakemake

TARGET = "results/pods/market/made/manifest.json"


def stored(endpoint, prefix):
    """``{path below results: sha256}`` of the artifacts in the bucket."""
    s3 = client(endpoint)
    keys = [each["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/results") for each in page.get("Contents", [])]
    kept = [key for key in keys if not {"logs", "benchmarks"} & set(key.split("/"))]
    return {key.split("/results/")[1]: hashlib.sha256(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() for key in kept}
