"""A repository that takes seconds: the real Snakefile, rules, profile and schema around three tiny notebooks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = ("Snakefile", "src/workflow", "envs", "config/config.schema.yaml", "manuscript/products.typ")

CONFIGURATION = """
scale: quick
questions:
  line: {slope: 2.0}
  walk-training: {seeds: [1, 2], steps: 60, pause: 0.05}
  walk: {}
"""

LINE = """# %% [markdown]
# # Does a line rise?
# The claim is $y = a x$ with $a > 0$, that is
# $$\\\\frac{\\\\partial y}{\\\\partial x} = a.$$

# %% tags=["parameters"]
slope = 1.0  # unit: one
points = 5
results_folder = "../results/jupyter/line"

# %%
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

matplotlib.rcParams["svg.hashsalt"] = "stablespike"
folder = Path(results_folder)
figure, axes = plt.subplots()
axes.plot([0, points], [0, slope * points])
for suffix in ("pdf", "svg", "png"):
    figure.savefig(folder / f"figure.{suffix}")

# %%
import json
import os

from stablespike.drawing import title

print(title(slope), object())
os.system("echo compiled at 1$(date +%N)")
(folder / "table.csv").write_text("x,y\\n1,2\\n")
(folder / "table.tex").write_text("x & y")
(folder / "numbers.json").write_text(json.dumps({"rise": slope * points}))
"""

WALK_TRAINING = """# %% tags=["parameters"]
seeds = [1]
steps = 3
pause = 0.0  # seconds
results_folder = "../results/jupyter/walk-training"

# %%
import json
import random
import sys
import time
from pathlib import Path

from stablespike.walking import step

checkpoint = Path(results_folder, "raw", "checkpoint", "state.json")
checkpoint.parent.mkdir(parents=True, exist_ok=True)
start, place = json.loads(checkpoint.read_text()) if checkpoint.is_file() else (0, 0)
print("training starts")
for number in range(start, steps):
    place += step(random.Random(number + seeds[0]))
    partial = checkpoint.with_suffix(".partial")
    partial.write_text(json.dumps([number + 1, place]))
    partial.replace(checkpoint)
    progress = f"{number + 1:3d}%|##| {number + 1}/{steps} [00:0{number % 10}<00:00]"
    print("\\r" + progress, end="", file=sys.stderr, flush=True)
    time.sleep(pause)

# %%
Path(results_folder, "raw", "walk.json").write_text(json.dumps(place))
Path(results_folder, "numbers.json").write_text(json.dumps({"place": place, "seeds": len(seeds)}))
"""

WALK = """# %% tags=["parameters"]
training_folder = "../results/jupyter/walk-training"
results_folder = "../results/jupyter/walk"

# %%
import json
from pathlib import Path

from stablespike.drawing import title

place = json.loads(Path(training_folder, "raw", "walk.json").read_text())
for name in ("figure.pdf", "figure.png", "table.csv", "table.tex"):
    Path(results_folder, name).write_text(f"{title(place)}\\n")
Path(results_folder, "figure.svg").write_text(
    '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="9" height="9"/></svg>'
)
Path(results_folder, "numbers.json").write_text(json.dumps({"place": place}))
"""

PAPER = """#import "products.typ": *
#show: paper.with(title: "Miniature", authors: ("Nobody",), abstract: [Short.])
The line rises by #number("line", "rise", digits: 1).
#answer("line")[A line.]
#answer("walk")[A walk.]
#results-table("line", columns: (x: [$x$], y: [$y$]))[A table.]
See @fig-line and @table-line.
"""

FILES = {
    "config/quick.yaml": CONFIGURATION,
    "notebooks/line.py": LINE.replace("\\\\", "\\"),
    "notebooks/walk-training.py": WALK_TRAINING,
    "notebooks/walk.py": WALK,
    "manuscript/paper.typ": PAPER,
    "src/stablespike/__init__.py": "",
    "src/stablespike/drawing.py": """from stablespike.wording import finished


def title(value):
    \"\"\"Return a title.\"\"\"
    return finished(f"value {value}")
""",
    "src/stablespike/wording.py": "def finished(text):\n    return text\n\n\ndef unused(text):\n    return text\n",
    "src/stablespike/walking.py": "def step(random):\n    return random.choice([-1, 1])\n",
}


def build(folder: Path) -> Path:
    """Write the miniature into a folder."""
    for name in SHARED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "src/workflow/renames.toml").write_text("", encoding="utf-8")  # what moved in this repository is not here
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return the variables under which the miniature's own packages are imported and its profile is used."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("STABLESPIKE_DATA", "PYTHONDONTWRITEBYTECODE")
    }
    return kept | {"PYTHONPATH": str(folder / "src"), "SNAKEMAKE_PROFILE": "envs/profiles/default"}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in the miniature."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)


def edit(file: Path, old: str, new: str) -> None:
    """Replace a piece of a file that has to be in it."""
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
