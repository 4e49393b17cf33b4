"""The cluster of the tests itself: what the other tests take for granted."""

import psutil

from tests.slurm.cluster import Cluster, wait


def submit(cluster, command, *options):
    script = cluster.folder / "work/job.sh"
    script.write_text(f"#!/bin/sh\n{command}\n")
    output = cluster.folder / "work/%j.out"
    return cluster.client("sbatch", "--parsable", f"--output={output}", *options, str(script)).strip()


def state(cluster, job):
    return [each.state for each in cluster.jobs() if each.id == job]


def test_jobs_run_on_the_nodes_of_their_partition(cluster):
    job = submit(cluster, "echo $SLURMD_NODENAME $(hostname) $CUDA_VISIBLE_DEVICES", "--partition=gpu", "--gpus=2")
    wait("the job", lambda: state(cluster, job) == ["COMPLETED"])
    assert (cluster.folder / f"work/{job}.out").read_text() == "g1 g1 0,1\n"
    row = {"JobID": job, "State": "COMPLETED", "ExitCode": "0:0"}
    wait("sacct", lambda: row in cluster.accounts())


def test_a_crash_kills_all_processes_of_the_node_and_no_others(cluster):
    jobs = {}
    for node in ("c1", "c2"):
        command = f"sleep 1000 & echo $! > {cluster.folder}/work/{node}.pid; wait"
        jobs[node] = submit(cluster, command, f"--nodelist={node}", "--no-requeue")
    files = {node: cluster.folder / f"work/{node}.pid" for node in jobs}
    wait("the jobs", lambda: all(each.exists() and each.read_text() for each in files.values()))
    pids = {node: int(each.read_text()) for node, each in files.items()}
    cluster.crash("c1")
    assert not psutil.pid_exists(pids["c1"])
    assert psutil.pid_exists(pids["c2"])
    assert state(cluster, jobs["c2"]) == ["RUNNING"]
    cluster.revive("c1")
    assert psutil.pid_exists(pids["c2"])
    again = submit(cluster, "true", "--nodelist=c1")
    wait("the job", lambda: state(cluster, again) == ["COMPLETED"])


def test_the_controller_and_the_accounting_come_back(cluster):
    job = submit(cluster, "sleep 3")
    cluster.stop_accounting()
    cluster.restart_controller()
    wait("the job", lambda: state(cluster, job) == ["COMPLETED"])
    cluster.start_accounting()
    wait("sacct", lambda: any(each["JobID"] == job and each["State"] == "COMPLETED" for each in cluster.accounts()))


def test_two_clusters_do_not_meet(cluster, tmp_path):
    stray = tmp_path / "stray"
    with Cluster() as other:
        # the second sleep is nobody's child
        job = submit(other, f"(setsid sleep 1000 & echo $! > {stray}); sleep 1000")
        wait("the job", lambda: state(other, job) == ["RUNNING"] and stray.exists() and stray.read_text())
        assert not cluster.jobs(state="RUNNING")
        processes = [*other.daemons.values()]
    assert not psutil.pid_exists(int(stray.read_text()))
    assert all(each.returncode is not None for each in processes)
    assert not other.folder.exists()
    cluster.wait_idle()
