"""Check that a scale's full run left every product that a reader looks for: `check_products.py SCALE`."""

import json
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
OF_EVERY_NOTEBOOK = ("notebook.ipynb", "notebook.html", "numbers.json")
OF_EVERY_ANSWER = ("figure.pdf", "figure.svg", "figure.png", "table.csv", "table.tex")
SMALLEST = 2  # bytes: an empty file is no product, `{}` may be one
OPENINGS = {".pdf": b"%PDF-", ".png": b"\x89PNG"}


def expected(scale):
    """Yield the path of every product of a scale; a training notebook has no figure of its own."""
    folder = ROOT / "results" / scale
    yield folder / "manuscript.pdf"
    for question in yaml.safe_load((ROOT / "config" / f"{scale}.yaml").read_text())["questions"]:
        answers = () if question.endswith("-training") else OF_EVERY_ANSWER
        yield from (folder / question / name for name in (*OF_EVERY_NOTEBOOK, *answers))


def fault(product):
    """Say what is wrong with a product, or nothing."""
    if not product.is_file():
        return "is missing"
    content = product.read_bytes()
    if len(content) < SMALLEST or not content.startswith(OPENINGS.get(product.suffix, b"")):
        return "is empty or of another kind"
    if product.suffix in (".json", ".ipynb"):
        json.loads(content)
    return None


def main(scale):
    """Print what is missing and exit with an error, or print how much is there."""
    products = list(expected(scale))
    faults = [f"{product.relative_to(ROOT)} {why}" for product in products if (why := fault(product))]
    print("\n".join(faults) or f"All {len(products)} products of the scale {scale} are there.")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(sys.argv[1])
