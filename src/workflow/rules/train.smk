# Training notebooks: whatever takes long and is worth keeping for another notebook to analyse.


rule train:
    input:
        age=lambda wildcards: PLAN.age(f"{wildcards.study}{TRAINING}"),
        code=lambda wildcards: ancient(PLAN.code(f"{wildcards.study}{TRAINING}")),
        data=lambda wildcards: ancient(PLAN.receipts(f"{wildcards.study}{TRAINING}")),
    output:
        expand(f"{RESULTS}/{{{{study}}}}{TRAINING}/{{product}}", product=[*TRAINED, RECORD]),
        f"{RESULTS}/{{study}}{TRAINING}/{MANIFEST}",
    params:
        python=sys.executable,
        question=f"{{study}}{TRAINING}",
        configuration=lambda wildcards: PLAN.handed_on(f"{wildcards.study}{TRAINING}"),
    log:
        f"{LOGS}/{{study}}{TRAINING}.log",
    threads: workflow.cores
    resources:
        gpu=int(gpu_is_visible()),
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.study}: training; progress in {log}"
    shell:
        "exec {params.python:q} -m workflow.run {params.configuration} {params.question} --log {log}"
