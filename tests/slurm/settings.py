"""The configuration files of the cluster in tests/slurm/cluster.py. What each odd line is for stands beside it."""

import os
import socket
import stat

CPUS, MEMORY_MB = 4, 8000  # of each node; config_overrides lets a smaller machine pretend

SLURM = """
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a requeued job is held until its credential has expired: 10 s, not 120
AuthInfo=socket={folder}/munge/munge.sock,cred_expire=10
CryptoType=crypto/munge
SlurmctldPort={controller}
SlurmctldPidFile={folder}/pid/slurmctld
SlurmdPidFile={folder}/pid/slurmd.%n
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/spool/controller
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
KillWait=2
# scontrol forgets a job this long after its end; the tests ask for those of a whole study
MinJobAge=7200
Waittime=0
BatchStartTimeout=15
MessageTimeout=10
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,defer_batch
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# partitions of a higher tier preempt: see PreemptMode and GraceTime of the partitions
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
# the memory of a step is looked at every second, and a step above its request is killed
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
DefMemPerCPU=200
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStorageUser=root
# without it sacctmgr looks for munge in /run and hangs
AccountingStoragePass={folder}/munge/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
"""

DATABASE = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
PidFile={folder}/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounting
"""

# The plugin slurm-jobstep drops every SLURM_* variable, SLURM_CONF too, before it calls srun
SRUN = """#!/bin/sh
SLURM_CONF={folder}/etc/slurm.conf exec {srun} "$@"
"""


def write(folder, ports, nodes, gpus, srun="/usr/bin/srun"):
    """Write all files below ``folder``. ``ports``: by daemon and node; ``nodes``: ``{name: partition}``."""
    for name in ("etc", "log", "pid", "munge", "db", "tmp", "dev", "bin", "work", "spool/controller"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for node in nodes:
        (folder / "spool" / node).mkdir(exist_ok=True)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for index in range(gpus):
        # without a device of its own a GPU is given out, but CUDA_VISIBLE_DEVICES is not set
        os.mknod(folder / f"dev/gpu{index}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    values = {"folder": folder, "host": socket.gethostname().split(".")[0], "srun": srun, **ports}
    lines = [SLURM.format(**values).strip()]
    for node, partition in nodes.items():
        address = f"NodeName={node} NodeHostname={values['host']} NodeAddr=127.0.0.1 Port={ports[node]}"
        gres = f" Gres=gpu:fake:{gpus}" if partition == "gpu" else ""
        lines.append(f"{address} CPUs={CPUS} RealMemory={MEMORY_MB}{gres} State=UNKNOWN")
    for partition in dict.fromkeys(nodes.values()):
        members = ",".join(each for each in nodes if nodes[each] == partition)
        default = " Default=YES" if partition == "cpu" else ""
        lines.append(
            f"PartitionName={partition} Nodes={members} MaxTime=600 DefaultTime=5 State=UP GraceTime=3{default}"
        )
    etc = folder / "etc"
    (etc / "slurm.conf").write_text("\n".join(lines) + "\n")
    files = f"{folder}/dev/gpu[0-{gpus - 1}]"
    owners = [each for each in nodes if nodes[each] == "gpu"]
    (etc / "gres.conf").write_text("".join(f"NodeName={each} Name=gpu Type=fake File={files}\n" for each in owners))
    (etc / "cgroup.conf").write_text("CgroupAutomount=no\n")
    (etc / "slurmdbd.conf").write_text(DATABASE.format(**values).lstrip())
    (etc / "slurmdbd.conf").chmod(0o600)
    (folder / "bin/srun").write_text(SRUN.format(**values))
    (folder / "bin/srun").chmod(0o755)
