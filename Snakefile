"""From the notebooks to the manuscript: `snakemake --cores all` (config/quick.yaml unless --configfile says else)."""

import sys

from workflow.cluster import start_run
from workflow.configuration import TRAINING
from workflow.faults import Fault
from workflow.machine import gpu_is_visible
from workflow.manuscript import MANUSCRIPT, prose
from workflow.one_run import hold_lock
from workflow.plan import PROSE, prepare
from workflow.provenance import ANSWER, MANIFEST, RECORD, TRAINED
from workflow.spikes import cache_folder

try:
    PLAN = prepare(config, workflow.configfiles, decides=workflow.is_main_process)
except Fault as fault:
    sys.exit(str(fault))

for name, reasons in PLAN.reasons.items():
    if reasons:
        print(f"Not current: {name} ({'; '.join(reasons)})", file=sys.stderr)

RESULTS = f"results/{PLAN.configuration.scale}"
LOGS = f"logs/{PLAN.configuration.scale}"


include: "src/workflow/rules/data.smk"
include: "src/workflow/rules/train.smk"
include: "src/workflow/rules/analyse.smk"
include: "src/workflow/rules/manuscript.smk"


localrules:
    all,
    data,
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
        hold_lock()
        if not workflow.local_exec:
            start_run()
    except Fault as fault:
        sys.exit(str(fault))
