"""A real SLURM on the loopback interface, below one temporary folder: what the tests of this folder run on.

Three nodes on one machine, `c1` and `c2` in partition `cpu`, `g1` in `gpu` with two GPUs that are /dev/null; munge,
slurmdbd and mariadb. Nothing outside the folder is written, all ports are free ones, every daemon is a child of the
test's process and is ended by its pid, so that several clusters may be up on one machine.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.slurm import settings

NODES = {"c1": "cpu", "c2": "cpu", "g1": "gpu"}
GPUS = 2
PROGRAMS = (
    "unshare",
    "setpriv",
    "hostname",
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "sbatch",
    "munged",
    "mariadbd",
    "mariadb-install-db",
)
PORTS = range(20000, 32000)  # below those from which outgoing connections take theirs
PATIENCE = 30  # seconds that a client may take: without its daemon it would retry for minutes
ENDED = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
)
FIELDS = {
    "id": "%i",
    "array_job": "%F",
    "array_task": "%K",
    "name": "%j",
    "state": "%T",
    "partition": "%P",
    "node": "%N",
    "reason": "%r",
    "comment": "%k",
    "started": "%S",
    "ended": "%e",
    "folder": "%Z",
}


class ClusterError(Exception):
    """A daemon did not come up, or a client got no answer in time."""


@dataclass(frozen=True)
class Job:
    """One job or task of an array as squeue shows it, ended ones included; all values are squeue's words."""

    id: str
    array_job: str
    array_task: str
    name: str
    state: str
    partition: str
    node: str
    reason: str
    comment: str
    started: str
    ended: str
    folder: str

    @property
    def rule(self):
        """The rule, from the comment that Snakemake's plugin leaves: `rule_<name>_wildcards_...` or `rule_<name>`."""
        return self.comment.removeprefix("rule_").split("_wildcards_")[0]


def missing():
    """Why no cluster can be brought up here, or None."""
    if os.geteuid():
        return "needs root: slurmd starts jobs as other users"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [each for each in PROGRAMS if not shutil.which(each, path=path)]
    return f"not installed: {', '.join(absent)}" if absent else None


class Cluster:
    """The cluster; a context manager that is up inside the block. ``folder`` holds its files, jobs may use `work`."""

    nodes = tuple(NODES)

    def __init__(self):
        # short: a unix socket's path has at most 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="slurm_", dir=min(tempfile.gettempdir(), "/tmp", key=len)))
        self.daemons, self.files = {}, []
        chosen = _free_ports(3 + len(NODES))
        self.ports = dict(zip(("controller", "accounting", "database", *NODES), chosen, strict=True))

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Bring everything up and wait until all nodes are idle."""
        settings.write(self.folder, self.ports, NODES, GPUS)
        munge = self.folder / "munge"
        options = {"key-file": "key", "socket": "munge.sock", "pid-file": "pid", "seed-file": "seed"}
        paths = [f"--{name}={munge / file}" for name, file in options.items()]
        self._launch("munged", "--foreground", "--force", "--num-threads=2", *paths)
        wait("munge's socket", (munge / "munge.sock").exists)
        self._start_database()
        self.start_accounting()
        self.start_controller()
        for node in self.nodes:
            self._start_node(node)
        self.wait_idle()

    def stop(self):
        """End all jobs and daemons that this object started, and remove the folder."""
        trees = [each for node in self.nodes for each in self._job_processes(node)]
        for name in [*reversed([each for each in self.daemons if each != "slurmctld"]), "slurmctld"]:
            if name.startswith("slurmd.") or name == "slurmctld":
                self._end(name, hard=True)
        trees += [each for node in self.nodes for each in self._job_processes(node)]
        _kill(trees)
        for name in reversed(list(self.daemons)):
            self._end(name)
        _kill(self._strays())
        for file in self.files:
            file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, checkout=None):
        """The variables with which clients, and Snakemake in a checkout, find this cluster."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SNAKEMAKE"))}
        path = f"{self.folder / 'bin'}:{kept.get('PATH', '')}:/usr/sbin:/sbin"
        kept |= {"PYTHONPATH": str(checkout)} if checkout else {}  # as the Snakefile sets it for jobs
        return kept | {"SLURM_CONF": str(self.folder / "etc/slurm.conf"), "PATH": path}

    def client(self, *command, check=True, timeout=PATIENCE):
        """Run a client such as ``scontrol``; returns its output. Raises ClusterError when it fails or hangs."""
        try:
            done = subprocess.run(
                command, env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{' '.join(command)}: no answer in {timeout} s") from None
        if check and done.returncode:
            raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self, **wanted):
        """All jobs that the controller knows, those that ended too, oldest first.

        ``wanted``: values that attributes of :class:`Job` have to have, as ``state="RUNNING"``.
        """
        line = "\x1f".join(FIELDS.values())
        lines = self.client("squeue", "--states=all", "--array", "--noheader", "--sort=i", "-o", line).splitlines()
        jobs = [Job(*each.split("\x1f")) for each in lines]
        return [job for job in jobs if all(getattr(job, name) == value for name, value in wanted.items())]

    def accounts(self, *fields):
        """Rows of sacct, one dict per job allocation or step: ``JobID``, ``State``, ``ExitCode`` and ``fields``."""
        names = ("JobID", "State", "ExitCode", *fields)
        lines = self.client(
            "sacct", "-nP", "--allusers", "--duplicates", f"--format={','.join(names)}", "-S", "now-1hour"
        )
        return [dict(zip(names, each.split("|"), strict=True)) for each in lines.splitlines()]

    def cancel(self, *jobs, name=None):
        """``scancel`` of jobs of :meth:`jobs`; with ``name`` (``KILL``, ``TERM``) only a signal to all their steps."""
        option = ["--full", f"--signal={name}"] if name else []
        self.client("scancel", *option, *(job.id for job in jobs))

    def crash(self, node):
        """The machine dies: its slurmd, its slurmstepds and all their children are killed; nobody is told."""
        processes = self._job_processes(node)
        self._end(f"slurmd.{node}", hard=True)
        _kill([*processes, *self._job_processes(node)])

    def revive(self, node):
        """Start a crashed node again and wait until the controller has it back; a node that is up stays."""
        if f"slurmd.{node}" not in self.daemons:
            self._start_node(node)
        self.wait_idle([node])

    def wait_idle(self, nodes=None):
        """Wait until nodes answer and are fit for jobs (idle or at work)."""
        wanted = set(nodes or self.nodes)

        def fit():
            lines = self.client("sinfo", "-hN", "-o", "%N %t", check=False).splitlines()
            return wanted <= {each.split()[0] for each in lines if each.split()[1] in ("idle", "mix", "alloc")}

        wait(f"nodes {', '.join(sorted(wanted))}", fit, 60)

    def restore(self):
        """Cancel all jobs, wait until they are gone, and bring up what is down."""
        for name, start in (("slurmdbd", self.start_accounting), ("slurmctld", self.start_controller)):
            if name not in self.daemons:
                start()
        for node in self.nodes:
            if f"slurmd.{node}" not in self.daemons:
                self._start_node(node)
        self.client("scontrol", "update", f"nodename={','.join(self.nodes)}", "state=resume", check=False)
        self.wait_idle()
        live = [job for job in self.jobs() if job.state not in ENDED]
        if live:
            self.cancel(*live)
        wait("the jobs' end", lambda: all(job.state in ENDED for job in self.jobs()), 60)

    def stop_controller(self, hard=False):
        """End slurmctld: it saves its state; ``hard``: it is killed and does not."""
        self._end("slurmctld", hard)

    def start_controller(self):
        """Start slurmctld from its saved state and wait until it answers."""
        self._launch("slurmctld", "-D")
        wait("slurmctld", lambda: "is UP" in self.client("scontrol", "ping", check=False))

    def restart_controller(self, pause=0, hard=False):
        """End slurmctld and start it again after ``pause`` seconds."""
        self.stop_controller(hard)
        time.sleep(pause)
        self.start_controller()

    def stop_accounting(self):
        """End slurmdbd: sacct and sacctmgr fail, squeue goes on."""
        self._end("slurmdbd")

    def start_accounting(self):
        """Start slurmdbd and wait until it answers."""
        self._launch("slurmdbd", "-D")

        def answers():
            return "loop" in self.client("sacctmgr", "-nP", "show", "cluster", check=False, timeout=5)

        if not (self.folder / "registered").exists():
            wait("slurmdbd", self._registered)
            (self.folder / "registered").touch()
        wait("slurmdbd", answers)

    def log(self, daemon):
        """The log of a daemon: ``slurmctld``, ``slurmd.c1``, ``slurmdbd``, ``mariadbd`` or ``munged``."""
        return (self.folder / "log" / f"{daemon}.log").read_text(errors="replace")

    def _registered(self):
        try:
            self.client("sacctmgr", "-i", "add", "cluster", "loop", timeout=5)
        except ClusterError:
            return False
        return True

    def _start_database(self):
        data, home = self.folder / "db", self.folder
        # mariadb clears its temporary folder when it starts, of what others have there too
        common = ["--no-defaults", "--user=root", f"--datadir={data}", f"--tmpdir={home / 'tmp'}"]
        with open(home / "log/install.log", "w") as log:
            install = ["mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
            subprocess.run(install, stdout=log, stderr=log, check=True, timeout=120)
        options = [f"--socket={data}/my.sock", "--bind-address=127.0.0.1", f"--port={self.ports['database']}"]
        options += [f"--pid-file={data}/pid", "--skip-name-resolve", "--innodb-buffer-pool-size=64M"]
        options += ["--innodb-log-file-size=32M", "--innodb-lock-wait-timeout=900"]
        self._launch("mariadbd", *common, *options, "--innodb-flush-log-at-trx-commit=0")
        sql = "create database accounting; create user 'slurm'@'127.0.0.1' identified by 'slurm'; "
        sql += "grant all on accounting.* to 'slurm'@'127.0.0.1';"
        command = ["mariadb", "--no-defaults", f"--socket={data}/my.sock", "-uroot", "-e"]
        wait("mariadb", lambda: not subprocess.run([*command, "select 1"], capture_output=True, timeout=10).returncode)
        subprocess.run([*command, sql], capture_output=True, timeout=30, check=True)

    def _start_node(self, node):
        # each node has a host name of its own, as machines have
        command = ["unshare", "--uts", "sh", "-c", f'hostname {node} && exec "$@"', "sh"]
        self._launch("slurmd", "-D", "-N", node, name=f"slurmd.{node}", before=command)

    def _launch(self, program, *arguments, name=None, before=()):
        """Start a daemon in the foreground; it ends with this process whatever happens to that."""
        name = name or program
        log = open(self.folder / f"log/{name}.log", "ab")  # noqa: SIM115 (open as long as the daemon)
        self.files.append(log)
        environment = self.environment()
        path = shutil.which(program, path=environment["PATH"])
        self.daemons[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *before, path, *arguments],
            env=environment,
            cwd=self.folder / "work",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _end(self, name, hard=False):
        process = self.daemons.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _strays(self):
        """Processes of jobs that outlived them: those whose parent had ended when their slurmstepd was killed."""
        found, own = [], self.environment()["SLURM_CONF"]
        for process in psutil.process_iter():
            try:
                if process.environ().get("SLURM_CONF") == own:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _job_processes(self, node):
        """The slurmstepds of a node, found by their sockets in its spool folder, and all that descends from them."""
        spool = str(self.folder / "spool" / node)
        steps = []
        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] == "slurmstepd" and any(
                    str(each.laddr).startswith(f"{spool}/") for each in process.net_connections("unix")
                ):
                    steps += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return steps


def _kill(processes):
    """SIGKILL, after all have been stopped so that none can tell another or start one more."""
    stopped = {}
    while fresh := [each for each in processes if each.pid not in stopped]:
        processes = []
        for each in fresh:
            stopped[each.pid] = each
            try:
                each.suspend()
                processes += each.children(recursive=True)
            except psutil.NoSuchProcess:
                continue
    for each in stopped.values():
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(stopped.values(), timeout=20)


def _free_ports(count):
    """``count`` ports of the loopback interface that nobody listens on."""
    found = []
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"fewer than {count} free ports in {PORTS}")


def wait(what, ready, seconds=PATIENCE, pause=0.1):
    """Wait until ``ready()`` is true. Raises ClusterError after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (ClusterError, subprocess.TimeoutExpired):
            pass
        time.sleep(pause)
    raise ClusterError(f"{what}: not there after {seconds} s")
