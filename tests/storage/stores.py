"""An S3 server (moto) in the test's process that can be told to misbehave, and studies whose results it holds."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests import tiny

KEY, BUCKET = "right", "studies"
REFUSED = b"<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>"


class Quiet(WSGIRequestHandler):
    def log(self, *arguments):
        pass


class Store:
    """The server: counts requests, knows one access key, and can keep a client waiting in the middle of an upload."""

    def __init__(self):
        self._objects = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.requests, self._held, self._passing, self._kept = Counter(), None, 0, False
        self.arrived, self._freed = threading.Event(), threading.Event()
        client = boto3.resource(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key="s"
        )
        self.bucket = client.create_bucket(Bucket=BUCKET)

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests[method] += 1
        if f"Credential={KEY}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [] if method == "HEAD" else [REFUSED]
        if method == "PUT" and self._held and self._held in path:
            self._passing -= 1
        if method == "PUT" and self._held and self._held in path and self._passing < 0:
            answer = list(self._objects(environ, start_response)) if self._kept else None
            self.arrived.set()
            self._freed.wait(120)
            if answer is None:  # the upload never ended
                start_response("500 Internal Server Error", [])
            return answer or []
        return self._objects(environ, start_response)

    def hold(self, name, passing, kept):
        """Let uploads of objects whose name has ``name`` in it wait, once ``passing`` of them have been answered.

        ``kept``: whether the one that waits is stored all the same.
        """
        self._held, self._passing, self._kept = name, passing, kept
        self.arrived.clear(), self._freed.clear()

    def free(self):
        """Answer whoever waits; from now on nothing waits."""
        self._held = None
        self._freed.set()

    def close(self):
        self.free()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Stored:
    """A checkout of the tiny study whose results are objects with the prefix ``prefix``."""

    def __init__(self, checkout, store, prefix):
        self.checkout, self.store, self.prefix = checkout, store, prefix
        self.address = f"s3://{BUCKET}/{prefix}"
        self.options = [
            *("--default-storage-provider", "s3"),
            *("--default-storage-prefix", self.address),
            *("--storage-s3-endpoint-url", store.url),
        ]

    def snakemake(self, *arguments, check=True):
        # targets first: the settings of a storage take all that follows them
        return tiny.snakemake(self.checkout, *arguments, *self.options, check=check)

    def plan(self, *arguments):
        """The jobs that a run would run."""
        done = self.snakemake("--dry-run", *arguments)
        done.stderr += done.stdout
        return tiny.jobs_run(done)

    def killed_in(self, name, passing, kept, *arguments):
        """Start a run, and kill it and its jobs with signal 9 in an upload: see :meth:`Store.hold`."""
        self.store.hold(name, passing, kept)
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, *self.options]
        said = self.checkout / "killed.log"
        with open(said, "w") as log:
            run = subprocess.Popen(command, cwd=self.checkout, start_new_session=True, stdout=log, stderr=log)
        try:
            assert self.store.arrived.wait(120), said.read_text()[-4000:]
        finally:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            self.store.free()

    def names(self, path=""):
        """The names of the objects below ``path``, as the rules name them."""
        found = self.store.bucket.objects.filter(Prefix=f"{self.prefix}/{path}")
        return sorted(each.key.removeprefix(f"{self.prefix}/") for each in found)

    def object(self, path):
        return self.store.bucket.Object(f"{self.prefix}/{path}")

    def contents(self):
        """``{path: bytes}`` of all artifacts, as :func:`tests.tiny.contents` has them of a folder."""
        names = [name.removeprefix("results/") for name in self.names("results/")]
        kept = [name for name in names if not {"logs", "benchmarks"} & set(name.split("/"))]
        return {
            name: self.object(f"results/{name}").get()["Body"].read()
            for name in kept
            if not name.endswith(".snakemake_timestamp")
        }
