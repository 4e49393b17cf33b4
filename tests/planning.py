"""Plan the workflow inside the test's process: about 0.2 s instead of 3 s for a subprocess.

Snakemake has no public way to ask which jobs a dry run would run; the private attribute is used here only.
"""

import contextlib
import io
import logging
import os
import shutil
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

ROOT = Path(__file__).parents[1]
CODE = ("Snakefile", "rules", "scripts", "envs", "profiles", "resources", "config.yaml")
# as profiles/default/config.yaml has it; the API does not read profiles
TRIGGERS = frozenset({"input", "mtime", "params", "software-env"})
CHECKSUM_LIMIT = 4_000_000_000


def copy_checkout(folder):
    """A copy of the workflow's code in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, folder / name)
    return folder


@contextlib.contextmanager
def workflow(folder, config=None, configfiles=(), targets=(), forcerun=(), resources=None):
    """The planned DAG of the checkout in ``folder``, with ``folder`` as working directory."""
    from snakemake.settings.enums import RerunTrigger

    triggers = frozenset(RerunTrigger.parse_choice(each) for each in TRIGGERS)
    before, path, variables = os.getcwd(), list(sys.path), dict(os.environ)
    ours = _forget_scripts()
    quiet = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            SnakemakeApi(OutputSettings(dryrun=True, quiet=None)) as api,
        ):
            flow = api.workflow(
                resource_settings=resources or ResourceSettings(cores=2),
                config_settings=ConfigSettings(config=config or {}, configfiles=[Path(each) for each in configfiles]),
                snakefile=Path(folder) / "Snakefile",
                workdir=Path(folder),
            )
            settings = DAGSettings(
                targets=set(targets),
                forcerun=frozenset(forcerun),
                rerun_triggers=triggers,
                max_checksum_file_size=CHECKSUM_LIMIT,
            )
            flow.dag(dag_settings=settings).execute_workflow(executor="dryrun")
            yield flow._workflow
    finally:
        os.chdir(before)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(variables)
        _forget_scripts()
        sys.modules.update(ours)
        logging.disable(logging.NOTSET)


def plan(folder, **options):
    """The jobs that a run would run: a sorted list of ``rule`` or ``rule wildcard wildcard ...``."""
    with workflow(folder, **options) as flow:
        return sorted(_name(job) for job in flow.dag._finished if job.rule.name not in ("all", "plans", "checks"))


def _name(job):
    return " ".join([job.rule.name, *(value for _, value in sorted(job.wildcards_dict.items()))])


def _forget_scripts():
    """Take the modules of the workflow out of ``sys.modules``, for those of another checkout; returns them by name."""
    # fingerprints are remembered by content, and computing them is most of a plan's time
    kept = "scripts.common.fingerprint"
    names = [each for each in sys.modules if each == "scripts" or each.startswith("scripts.")]
    return {name: sys.modules.pop(name) for name in names if name != kept}
