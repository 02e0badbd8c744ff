# What the environment consists of: ./reproduce dependencies. It asks no network, and looks anew each time it is asked for.


rule dependencies:
    output:
        touch(temp(".cache/dependencies/asked")),
    params:
        python=PYTHON,
        licences=".cache/dependencies/licences.csv",
        audit=".cache/dependencies/audit.txt",
    log:
        "logs/dependencies.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "dependencies: licences in {params.licences}, comparison with the lock in {params.audit}"
    shell:
        "{params.python} -m workflow.job dependencies {params.licences} {params.audit} 2> >(tee {log} >&2)"
