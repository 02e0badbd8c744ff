"""An executed copy gets the present text; cells that only import may come and go without a change of code."""

from base64 import b64decode, b64encode
from io import BytesIO

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image

from workflow.copies import in_brief, with_linked_figure, woven
from workflow.pictures import in_palette, with_palettes


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


def test_a_copy_does_not_say_how_long_it_took():
    one, other = (
        {"identity": {"code": {}}, "session": {"processor": "abacus", "processor_seconds": seconds}}
        for seconds in (1.0, 2.0)
    )
    assert in_brief(one) == in_brief(other)
    assert in_brief(one)["session"] == {"processor": "abacus"}


def picture():
    """A PNG of a smooth curve in colour on white, as a figure is, with more shades than a palette holds."""
    across, down = np.meshgrid(np.linspace(0, 6, 300), np.linspace(-1, 1, 200))
    shade = np.clip(255 * np.abs(down - np.sin(across)) ** 0.5, 0, 255).astype(np.uint8)
    written = BytesIO()
    Image.fromarray(np.stack([shade, shade // 2 + 127, np.full_like(shade, 255)], axis=-1)).save(written, "png")
    return written.getvalue()


def test_a_picture_in_a_palette_is_smaller_and_nearly_the_same():
    png = picture()
    small = in_palette(png)
    before, after = (np.asarray(Image.open(BytesIO(kept)).convert("RGB"), float) for kept in (png, small))
    assert len(small) < len(png)
    assert before.shape == after.shape
    assert np.abs(before - after).mean() < 2
    assert in_palette(small) == small
    assert in_palette(b"no picture") == b"no picture"


def test_a_page_links_the_figure_that_its_copy_shows_in_a_palette(tmp_path):
    (tmp_path / "figure.png").write_bytes(picture())
    data = {"image/png": b64encode(picture()).decode(), "text/plain": "figure"}
    cells = with_palettes([new_code_cell("show()", outputs=[new_output("display_data", data=data)])])
    shown = cells[0].outputs[0].data["image/png"]
    assert Image.open(BytesIO(b64decode(shown))).mode == "P"
    page = f'<img src="data:image/png;base64,{shown}">'
    assert with_linked_figure(page, tmp_path) == '<img src="figure.png">'
