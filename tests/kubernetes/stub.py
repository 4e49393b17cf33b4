"""A stub of a Kubernetes API server: no cluster, but it takes manifests as strictly as one and runs what they say.

Every manifest is validated with the official schema, unknown fields refused, and with the rules of the API server that
the plugin can break (quantities, requests and limits: ValidateResourceRequirements of kubernetes/pkg/apis/core). A
pod's command runs here as a process in a folder of its own, with nothing of this environment but what the image
(`image`: its variables) and the manifest give. Nothing is scheduled, isolated or limited.
"""

import base64
import json
import os
import re
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import kubernetes_validate

NATIVE = ("cpu", "memory", "ephemeral-storage")
QUANTITY = re.compile(r"^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class RefusedError(Exception):
    """What an API server answers with a status: ``args`` are that and a message."""


def amount(quantity):
    """The number that a quantity such as ``950m`` or ``10G`` stands for."""
    if not QUANTITY.match(quantity):
        raise RefusedError(422, f"quantities must match the regular expression: {quantity!r}")
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", quantity).groups()
    return float(number) * UNITS[unit]


def check_resources(resources):
    """Apply the API server's rules on requests and limits to a container's ``resources``."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name, quantity in {**limits, **requests}.items():
        if name not in NATIVE and not re.fullmatch(r"[a-z.]+\.com/[a-z]+", name):
            raise RefusedError(422, f"{name}: must be a standard resource type or fully qualified")
        asked, limit = amount(requests.get(name, quantity)), limits.get(name)
        if limit is None and name not in NATIVE:
            raise RefusedError(422, f"{name}: Required value: Limit must be set for non overcommitable resources")
        if limit is not None and asked > amount(limit):
            raise RefusedError(422, f"{name}: Invalid value: must be less than or equal to {name} limit")
        if limit is not None and name not in NATIVE and asked != amount(limit):
            raise RefusedError(422, f"{name}: Invalid value: must be equal to {name} limit")


class Pod:
    """One container that runs once: the process of a job."""

    def __init__(self, manifest, secrets, folder, image):
        self.manifest, self.folder, self.process, self.code = manifest, folder, None, None
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        self.container, self.environment = container, dict(image)
        for each in container.get("env", []):
            source = each["valueFrom"]["secretKeyRef"]
            self.environment[each["name"]] = base64.b64decode(secrets[source["name"]]["data"][source["key"]]).decode()

    def run(self, slots, killed=False):
        """Run the command when a slot is free, and keep its exit status; ``killed``: by the node, before it began."""
        with slots:
            if killed:
                self.folder.with_suffix(".log").write_text("")
                self.code = 128 + signal.SIGKILL
                return
            self.folder.mkdir(parents=True)
            with open(self.folder.with_suffix(".log"), "w") as log:
                self.process = subprocess.Popen(
                    [*self.container["command"], *self.container["args"]],
                    cwd=self.folder,
                    env=self.environment | {"HOME": str(self.folder)},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.code = self.process.wait()

    def kill(self):
        """End the container's processes."""
        if self.process is not None and self.code is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def status(self):
        """The status of the pod as the API has it."""
        if self.code is None:
            state = {"waiting": {"reason": "Pending"}}
        else:
            state = {"terminated": {"exitCode": self.code}}
        statuses = {"name": self.container["name"], "image": "", "imageID": "", "ready": False, "restartCount": 0}
        return {"containerStatuses": [{**statuses, "state": state}]}


class Cluster:
    """What the stub knows: the secrets, the jobs by name with their pods, what it refused, what was deleted.

    ``kills``: of so many pods the node kills the container, as it does where memory runs out.
    """

    def __init__(self, folder, image, pods=2):
        self.folder, self.image, self.slots = folder, image, threading.Semaphore(pods)
        self.secrets, self.jobs, self.refused, self.deleted, self.kills = {}, {}, [], [], 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"cluster": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kubeconfig(self):
        """Write a kubeconfig of this server; returns its path."""
        address = f"http://127.0.0.1:{self.server.server_port}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": address}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
            "users": [{"name": "stub", "user": {}}],
        }
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def create(self, kind, version, manifest):
        """Take a manifest or refuse it; a job's pod starts at once."""
        manifest = {"apiVersion": version, "kind": kind} | manifest
        try:
            kubernetes_validate.validate(manifest, "1.37", strict=True)
        except kubernetes_validate.ValidationError as error:
            raise RefusedError(422, str(error)) from None
        name = manifest["metadata"]["name"]
        if name in (self.secrets if kind == "Secret" else self.jobs):
            raise RefusedError(409, f"{name} already exists")
        if kind == "Secret":
            self.secrets[name] = manifest
            return manifest
        for each in manifest["spec"]["template"]["spec"]["containers"]:
            check_resources(each.get("resources", {}))
        self.jobs[name] = Pod(manifest, self.secrets, self.folder / name, self.image)
        killed, self.kills = self.kills > 0, max(0, self.kills - 1)
        threading.Thread(target=self.jobs[name].run, args=(self.slots, killed), daemon=True).start()
        return manifest

    def delete(self, name):
        """Delete a secret, or end a job's pod; returns whether it was there."""
        self.deleted.append(name)
        if name in self.jobs:
            self.jobs[name].kill()
        return name in self.jobs or self.secrets.pop(name, None) is not None

    def close(self):
        """End every pod and the server."""
        for each in self.jobs.values():
            each.kill()
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """The part of the API that Snakemake's plugin uses."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, status=200):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_one(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))  # DELETE has one too
        parts, query = urlparse(self.path).path.strip("/").split("/"), parse_qs(urlparse(self.path).query)
        plural, rest = parts[parts.index("namespaces") + 2], parts[parts.index("namespaces") + 3 :]
        try:
            self.answer(method(plural, rest, query, json.loads(body or "{}")))
        except RefusedError as error:
            status, message = error.args
            self.cluster.refused.append((status, message))
            self.answer({"kind": "Status", "status": "Failure", "message": message, "code": status}, status)

    def do_POST(self):
        kinds = {"secrets": ("Secret", "v1"), "jobs": ("Job", "batch/v1")}
        self.handle_one(lambda plural, rest, query, body: self.cluster.create(*kinds[plural], body))

    def do_DELETE(self):
        def delete(plural, rest, query, body):
            if not self.cluster.delete(rest[0].removesuffix("-pod")):
                raise RefusedError(404, f"{plural} {rest[0]} not found")
            return {"kind": "Status", "status": "Success"}

        self.handle_one(delete)

    def do_GET(self):
        self.handle_one(self.read)

    def read(self, plural, rest, query, body):
        jobs = self.cluster.jobs
        if plural == "jobs":
            job = jobs[rest[0]]
            counts = {} if job.code is None else {"failed" if job.code else "succeeded": 1}
            return {**job.manifest, "status": counts}
        if rest:
            # the kubelet keeps the log of a container's run before the last; of one that never restarted there is none
            if query.get("previous", ["false"])[0].lower() == "true":
                raise RefusedError(400, f'previous terminated container "snakemake" in pod "{rest[0]}" not found')
            return (self.cluster.folder / f"{rest[0].removesuffix('-pod')}.log").read_text()
        name = query["labelSelector"][0].removeprefix("job-name=")
        found = [name] if name in jobs and name not in self.cluster.deleted else []
        pods = [{"metadata": {"name": f"{each}-pod"}, "status": jobs[each].status()} for each in found]
        return {"kind": "PodList", "apiVersion": "v1", "items": pods}
