"""An executed copy gets the present text; cells that only import may come and go without a change of code."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from workflow.copies import in_brief, woven


def executed(source, text):
    """A cell that has run."""
    return new_code_cell(source, execution_count=1, outputs=[new_output("stream", name="stdout", text=text)])


@pytest.mark.parametrize(
    "imports", [[], [new_code_cell("import b")], [new_code_cell("import b"), new_code_cell("import c")]]
)
def test_a_cell_of_imports_may_come_or_go(imports):
    runs = [executed("import a", ""), executed("print(1)", "1"), executed("print(2)", "2")]
    written = [new_markdown_cell("new"), *imports, new_code_cell("print(1)"), new_code_cell("print(2)")]
    cells = woven(written, runs)
    assert [cell.source for cell in cells] == ["new", *(cell.source for cell in imports), "print(1)", "print(2)"]
    assert [cell.outputs[0].text for cell in cells[-2:]] == ["1", "2"]


def test_a_copy_holds_one_hash_of_the_code():
    record = {"identity": {"code": {"stablespike.lines": {"line": "1"}}, "scale": "quick"}, "lock": 1}
    other = {"identity": {"code": {"stablespike.lines": {"line": "2"}}, "scale": "quick"}, "lock": 1}
    assert in_brief(record)["identity"]["scale"] == "quick"
    assert len(in_brief(record)["identity"]["code"]) == 64
    assert in_brief(record) != in_brief(other)
