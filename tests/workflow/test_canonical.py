"""An executed notebook is kept without what differs from run to run."""

import sys
from pathlib import Path

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from workflow.canonical import canonical, final_lines, machine_paths, scrub


def stream(name, text):
    return new_output("stream", name=name, text=text)


def test_streams_are_joined_wherever_they_were_cut():
    display = new_output("display_data", data={"text/plain": "figure"})
    whole = [stream("stdout", "one two"), display, stream("stderr", "warning")]
    cut = [
        stream("stdout", "one "),
        stream("stderr", "warn"),
        stream("stdout", "two"),
        display,
        stream("stderr", "ing"),
    ]
    copies = [
        canonical(new_notebook(cells=[new_code_cell("x", outputs=outputs)]), {}, Path("data"))
        for outputs in (whole, cut)
    ]
    assert copies[0] == copies[1]


def test_metadata_and_identities_carry_no_time():
    cells = [
        new_markdown_cell("# A"),
        new_code_cell("x = 1", metadata={"tags": ["parameters"], "papermill": {"duration": 1}}),
    ]
    notebook = new_notebook(cells=cells, metadata={"papermill": {"start_time": "now"}})
    kept = canonical(notebook, {"scale": "quick"}, Path("data"))
    assert kept.metadata == {"stablespike": {"scale": "quick"}}
    assert [cell.id for cell in kept.cells] == ["cell-0", "cell-1"]
    assert kept.cells[1].metadata == {"tags": ["parameters"]}


def test_progress_bars_end_without_their_times():
    text = " 50%|##   | 1/2 [00:01<00:01, 1.0it/s]\r100%|#####| 2/2 [00:02<00:00, 1.0it/s]\nnext\n"
    assert final_lines(text) == "100%|#####| 2/2\nnext\n"


def test_paths_and_addresses_of_the_machine_are_hidden(tmp_path):
    data = tmp_path / "recordings"
    data.mkdir()
    hidden = machine_paths(data)
    text = f"{data}/mnist {sys.prefix}/lib/x.py {Path.cwd()}/notebooks <f at 0x7f01aabbccdd> /tmp/ipykernel_12/99.py:3"
    assert scrub(text, hidden) == "../data/mnist ../.venv/lib/x.py ../notebooks <f at 0x…> <cell>:3"
    assert scrub(f"{data}-other", hidden) == f"{data}-other"
