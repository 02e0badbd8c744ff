"""An executed notebook is kept without what differs from run to run."""

import sys
from pathlib import Path

import pytest
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


def test_of_a_progress_bar_nothing_is_kept():
    text = " 50%|##   | 1/2 [00:01<00:01, 1.0it/s]\r100%|#####| 2/2 [00:02<00:00, 1.0it/s]\nnext\n"
    assert final_lines(text) == "next\n"


@pytest.mark.parametrize(
    "bar",
    [
        "  0%|          | 0/40 [00:00<?, ?it/s]\rexact, seed 1: 100%|####| 40/40 [00:09<00:00,  4.2it/s]\n",
        "exact, seed 1:  97%|###9| 3/3 [00:01<00:00,  4.2it/s]\n",
        "\r  5%|##| 3/60 [00:03<00:09]",
        "exact, seed 1: 0it [00:00, ?it/s]\n",
        "x.gz: 100%|####| 9.91M/9.91M [00:01<00:00, 8.1MB/s]\n",
    ],
)
def test_a_run_that_was_taken_up_is_kept_like_a_whole_one(bar):
    outputs = [stream("stdout", "0.5\n"), stream("stderr", bar)]
    kept = canonical(new_notebook(cells=[new_code_cell("x", outputs=outputs)]), {}, Path("data"))
    assert [output.text for output in kept.cells[0].outputs] == ["0.5\n"]


@pytest.mark.parametrize("text", ["50% of all\n", "warning: 3it is\n", "a: 1 | 2\n", "it's [a list]\n"])
def test_what_is_no_progress_bar_is_kept(text):
    assert final_lines(text) == text


def test_paths_and_addresses_of_the_machine_are_hidden(tmp_path):
    data = tmp_path / "recordings"
    data.mkdir()
    hidden = machine_paths(data)
    text = f"{data}/mnist {sys.prefix}/lib/x.py {Path.cwd()}/notebooks <f at 0x7f01aabbccdd> /tmp/ipykernel_12/99.py:3"
    assert scrub(text, hidden) == "../data/mnist ../.venv/lib/x.py ../notebooks <f at 0x…> <cell>:3"
    assert scrub(f"{data}-other", hidden) == f"{data}-other"
