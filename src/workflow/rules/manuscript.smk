# The manuscript: prose, figures, tables and numbers in one PDF for each scale.


rule manuscript:
    input:
        age=PLAN.age(MANUSCRIPT),
        prose=ancient([str(path) for path in prose()]),
        records=[str(question.folder / RECORD) for question in PLAN.configuration.questions.values()],
    output:
        f"{RESULTS}/{MANUSCRIPT}.pdf",
        f"{RESULTS}/{MANUSCRIPT}.json",
    params:
        python=sys.executable,
        configuration=PLAN.handed_on(MANUSCRIPT),
    log:
        f"{LOGS}/{MANUSCRIPT}.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "manuscript: {output[0]}"
    shell:
        "exec {params.python:q} -m workflow.manuscript {params.configuration} 2> >(tee {log} >&2)"
