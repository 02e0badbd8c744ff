# The manuscript: prose, figures, tables and numbers in one PDF for each scale; before it, executed notebooks whose
# text was edited since get the new one, which needs no run.


rule prose:
    input:
        age=PLAN.age(PROSE),
        records=[str(question.folder / RECORD) for question in PLAN.configuration.questions.values()],
    output:
        f".cache/prose/{PLAN.configuration.scale}.txt",
    params:
        python=PYTHON,
        configuration=PLAN.handed_on(MANUSCRIPT),
    log:
        f"{LOGS}/{PROSE}.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "prose: the executed notebooks get their present text"
    shell:
        "{params.python} -m workflow.job copies {params.configuration} {output} 2> >(tee {log} >&2)"


rule manuscript:
    input:
        age=PLAN.age(MANUSCRIPT),
        sources=ancient([str(path) for path in prose()]),
        records=rules.prose.input.records,
        executed=rules.prose.output,
    output:
        f"{RESULTS}/{MANUSCRIPT}.pdf",
        f"{RESULTS}/{MANUSCRIPT}.json",
    params:
        python=PYTHON,
        configuration=PLAN.handed_on(MANUSCRIPT),
    log:
        f"{LOGS}/{MANUSCRIPT}.log",
    conda:
        "../../../envs/environment.yaml"
    message:
        "manuscript: {output[0]}"
    shell:
        "{params.python} -m workflow.job manuscript {params.configuration} 2> >(tee {log} >&2)"
