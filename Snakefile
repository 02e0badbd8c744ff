"""From the notebooks to the manuscript: `snakemake --cores all` (config/quick.yaml unless --configfile says else)."""

import sys
from pathlib import Path

from workflow.cluster import start_run
from workflow.configuration import TRAINING
from workflow.faults import Fault
from workflow.job import python
from workflow.kept import KEPT, MANIFEST
from workflow.machine import gpu_is_visible
from workflow.manuscript import MANUSCRIPT, prose
from workflow.one_run import begin, require_folders, settle_times
from workflow.plan import PROSE, prepare
from workflow.provenance import ANSWER, RECORD, TRAINED
from workflow.spikes import cache_folder

try:
    settle_times()
    PLAN = prepare(config, workflow.configfiles, decides=workflow.is_main_process)
    require_folders([question.folder for question in PLAN.configuration.questions.values()])
    require_folders([Path("logs/data"), Path("logs", PLAN.configuration.scale)])
except Fault as fault:
    sys.exit(str(fault))
except OSError as error:
    sys.exit(f"The plan of this run cannot be written ({error}): give it the room, and the right to write there.")

for name, reasons in PLAN.reasons.items():
    if reasons:
        print(f"Not current: {name} ({'; '.join(reasons)})", file=sys.stderr)

RESULTS = f"results/{PLAN.configuration.scale}"
LOGS = f"logs/{PLAN.configuration.scale}"
PYTHON = python()


include: "src/workflow/rules/data.smk"
include: "src/workflow/rules/train.smk"
include: "src/workflow/rules/analyse.smk"
include: "src/workflow/rules/manuscript.smk"
include: "src/workflow/rules/dependencies.smk"


localrules:
    all,
    data,
    dependencies,
    manuscript,
    prose,


rule all:
    default_target: True
    input:
        rules.manuscript.output,
    message:
        "Everything in {RESULTS} is up to date."


onstart:
    try:
        begin()
        if not workflow.local_exec:
            start_run()
    except Fault as fault:
        sys.exit(str(fault))
