# Training notebooks: whatever takes long and is worth keeping for another notebook to analyse. What the analysis needs is
# committed as an archive where it is below a megabyte (src/workflow/kept.py); all else stays in raw/, which git ignores.


rule train:
    input:
        age=lambda wildcards: PLAN.age(f"{wildcards.study}{TRAINING}"),
        code=lambda wildcards: ancient(PLAN.code(f"{wildcards.study}{TRAINING}")),
        data=lambda wildcards: ancient(PLAN.receipts(f"{wildcards.study}{TRAINING}")),
    output:
        expand(f"{RESULTS}/{{{{study}}}}{TRAINING}/{{product}}", product=[*TRAINED, RECORD]),
        f"{RESULTS}/{{study}}{TRAINING}/{MANIFEST}",
        f"{RESULTS}/{{study}}{TRAINING}/{KEPT}",
    params:
        python=PYTHON,
        question=f"{{study}}{TRAINING}",
        configuration=lambda wildcards: PLAN.handed_on(f"{wildcards.study}{TRAINING}"),
    log:
        f"{LOGS}/{{study}}{TRAINING}.log",
    threads: lambda wildcards: PLAN.cores(f"{wildcards.study}{TRAINING}", workflow.cores)
    resources:
        gpu=int(gpu_is_visible()),
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.study}: training; progress in {log}"
    shell:
        "{params.python} -m workflow.run {params.configuration} {params.question} --log {log}"
