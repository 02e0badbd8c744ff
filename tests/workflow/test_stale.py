"""What is stale is printed for people, who may stop reading."""

import subprocess
import sys

PROGRAM = """
import sys
from workflow.stale import report
report({"quick": {f"question-{number}": ["code"] * 9 for number in range(5000)}}, {})
print("reached", file=sys.stderr)
"""


def test_a_reader_may_leave_before_the_end():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as printing:
        assert printing.stdout.readline() == b"quick: 5000 not current\n"
        printing.stdout.close()
        assert printing.stderr.read() == b"reached\n"
    assert printing.returncode == 0
