# Datasets from outside, checked, and fetched where they are missing; spikes that a cochlea has to hear first.


rule data:
    output:
        ".cache/data/{dataset}.sha256",
    params:
        python=PYTHON,
        folder=str(PLAN.configuration.data_folder),
    log:
        "logs/data/{dataset}.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.dataset}: checking the files in {params.folder}"
    shell:
        "{params.python} -m workflow.job data {wildcards.dataset} {params.folder:q} {output} 2> >(tee {log} >&2)"


rule spikes:
    input:
        lambda wildcards: ancient(PLAN.published(wildcards.dataset)),
    output:
        f"{cache_folder()}/{{dataset}}.txt",
    params:
        python=PYTHON,
        folder=str(PLAN.configuration.data_folder),
    log:
        "logs/data/{dataset}-spikes.log",
    threads: workflow.cores
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.dataset}: from sound to spikes; progress in {log}"
    shell:
        "{params.python} -m workflow.job spikes named {wildcards.dataset} {params.folder:q} {output} 2> >(tee {log} >&2)"


# Any folder <data>/sounds/<name>/<class>/<speaker>/<file>: ./reproduce .cache/sounds/<name>-700-channels.h5
# All that is in it is input: the age of a folder is not that of a file further down.
rule sounds:
    input:
        folder=lambda wildcards: PLAN.configuration.data_folder / "sounds" / wildcards.name,
        files=lambda wildcards: sorted((PLAN.configuration.data_folder / "sounds" / wildcards.name).rglob("*")),
    output:
        ".cache/sounds/{name}-{channels}-channels.h5",
    params:
        python=PYTHON,
    wildcard_constraints:
        channels="[0-9]+",
    log:
        "logs/data/{name}-{channels}-channels.log",
    threads: workflow.cores
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.name}: sounds to spikes; progress in {log}"
    shell:
        "{params.python} -m workflow.job spikes sounds {input.folder:q} {output:q} --channels {wildcards.channels} 2> >(tee {log} >&2)"
