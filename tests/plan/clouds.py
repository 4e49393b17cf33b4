"""What the tests of the clouds' profiles share: a profile read as Snakemake reads it, and jobs' requests under it."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from snakemake.cli import parse_args
from snakemake.iocontainers import InputFiles, Wildcards
from snakemake.settings.types import ResourceSettings
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from tests.planning import ROOT, workflow

CLOUDS = ("kubernetes", "googlebatch", "aws-batch")
# wildcards of any job of the default study's llm stage
TRADER = {"base": "tiny", "recipe": "trader", "phase": "all", "artifact": "merged", "quant": "F32", "source": ""}


def arguments(profile, *more):
    """The command line of Snakemake with ``profiles/<profile>``, parsed by Snakemake; and the executor's settings."""
    with contextlib.chdir(ROOT):
        _, args = parse_args(["--profile", f"profiles/{profile}", *more])
    return args, ExecutorPluginRegistry().get_plugin(profile).get_settings(args)


@contextlib.contextmanager
def planned(folder, profile, **options):
    """The planned DAG of the checkout in ``folder`` with a profile's resources, as if its executor ran the jobs."""
    args, _ = arguments(profile)
    settings = ResourceSettings(
        cores=None, nodes=args.jobs, default_resources=args.default_resources, overwrite_resources=args.set_resources
    )
    with workflow(folder, resources=settings, **options) as flow:
        flow._executor_plugin = ExecutorPluginRegistry().get_plugin(profile)
        yield flow


def request(rule, wildcards=TRADER, attempt=1):
    """The resources of a job of ``rule`` whose inputs are small, as its executor gets them."""
    return rule.expand_resources(Wildcards(fromdict=wildcards), InputFiles(), attempt)


LISTED = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>0</KeyCount></ListBucketResult>'


class EmptyBucket(BaseHTTPRequestHandler):
    """What S3 and Google Cloud Storage answer of a bucket without objects."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.split("?")[0]
        if not path.startswith("/storage/v1/"):
            return self.answer(200 if path.count("/") == 1 else 404, LISTED)  # a bucket's list, or an object
        parts = path.strip("/").split("/")  # storage/v1/b/<bucket>[/o[/<object>]]
        found = {"items": []} if len(parts) == 5 else {"name": parts[3]} if len(parts) == 4 else None
        return self.answer(200 if found else 404, json.dumps(found or {}).encode())

    def do_HEAD(self):
        self.answer(200 if self.path.count("/") == 1 else 404, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def empty_bucket():
    """The address of a server of :class:`EmptyBucket`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyBucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
