# The whole workflow: config in, rules of the stages, targets, and what each rule's code is.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

ROOT = Path(workflow.basedir)
# Every job parses this file first: `scripts` imports from any folder, and idle OpenMP threads sleep, not spin.
sys.path.insert(0, str(ROOT))
os.environ.update(PYTHONPATH=str(ROOT), OMP_WAIT_POLICY="PASSIVE")

from scripts.common.errors import StudyError
from scripts.common.fingerprint import Code
from scripts.study import read_study

if not workflow.overwrite_configfiles:

    configfile: ROOT / "config.yaml"


try:
    study = read_study(config)
    study.check_environment()
except StudyError as error:
    raise WorkflowError(str(error)) from None
# The canonical form: 0.10 and 0.1, key order and --config strings make no difference to any rule.
config.clear()
config.update(study.model_dump(mode="json"))
code = Code(ROOT, ROOT / "envs" / "requirements.txt")


STAGES = ("market", "ensemble", "corpus", "llm", "report")
for part in ("common", "requests", "corpus_plans", "llm_plans", "plans", *STAGES, "dry_run", "execution"):

    include: f"rules/{part}.smk"


rule all:
    default_target: True
    input:
        # first: what is beside and below the first object is asked of a store by one listing
        [f"{RESULTS}/{name}" for name in ("manifest.json", "SHA256SUMS")],
        checkpoint_files(),
        artifacts,
        [f"{BENCHMARKS}/{name}.html" for name in ("times", "failures")],


# A rule's code is what its script imports; the params say so, and the reason of a rerun names the module.
for each in rules_to_run():
    if each.script:
        each.set_params(*code.tokens(script_of(each)))
