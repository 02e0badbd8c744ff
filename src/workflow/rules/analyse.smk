# Notebooks that answer a question: with a figure, a table and numbers.


rule analyse:
    input:
        age=lambda wildcards: PLAN.age(wildcards.study),
        code=lambda wildcards: ancient(PLAN.code(wildcards.study)),
        data=lambda wildcards: ancient(PLAN.receipts(wildcards.study)),
        training=lambda wildcards: PLAN.training(wildcards.study),
        answers=lambda wildcards: PLAN.answers(wildcards.study),
    output:
        expand(f"{RESULTS}/{{{{study}}}}/{{product}}", product=[*ANSWER, RECORD]),
    params:
        python=PYTHON,
        configuration=lambda wildcards: PLAN.handed_on(wildcards.study),
    wildcard_constraints:
        study=PLAN.studies(),
    log:
        f"{LOGS}/{{study}}.log",
    threads: lambda wildcards: PLAN.cores(wildcards.study, workflow.cores)
    resources:
        gpu=int(gpu_is_visible()),
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.study}: running notebooks/{wildcards.study}.py; progress in {log}"
    shell:
        "{params.python} -m workflow.run {params.configuration} {wildcards.study} --log {log}"
