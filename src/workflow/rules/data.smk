# Datasets from outside: checked, and fetched where they are missing.


rule data:
    output:
        ".cache/data/{dataset}.sha256",
    params:
        python=sys.executable,
        folder=str(PLAN.configuration.data_folder),
    log:
        "logs/data/{dataset}.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "{wildcards.dataset}: checking the files in {params.folder}"
    shell:
        "exec {params.python:q} -m workflow.data {wildcards.dataset} {params.folder:q} {output} 2> >(tee {log} >&2)"
