"""Answer one question, as a rule does and as one does by hand: `python -m workflow.run config/quick.yaml QUESTION`."""

from workflow.job import start

if __name__ == "__main__":
    start("answering")
