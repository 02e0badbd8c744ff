# Datasets from outside: checked, and fetched where they are missing.


rule data:
    output:
        ".cache/data/{dataset}.sha256",
    params:
        folder=str(PLAN.configuration.data_folder),
    log:
        "logs/data/{dataset}.log",
    message:
        "{wildcards.dataset}: checking the files in {params.folder}"
    shell:
        "exec {sys.executable:q} -m workflow.data {wildcards.dataset} {params.folder:q} {output} 2> >(tee {log} >&2)"
