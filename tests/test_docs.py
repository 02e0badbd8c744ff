"""The site: its examples run as they stand, its links lead somewhere, and what is made of the repository is whole."""

import json
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import stablespike as ss
from workflow import site

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/pages"
WRITTEN = sorted(PAGES.rglob("*.md"))
EXAMPLES = {
    page.stem: blocks for page in WRITTEN if (blocks := re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site.write_site(folder / "site")
    return folder / "site"


def of_weights(network):
    return network.layers[0].inputs.weights


def run(page):
    names: dict = {}
    for block in EXAMPLES[page]:
        exec(compile(block, f"{page}.md", "exec"), names)
    return names


def test_a_page_is_run_as_it_stands_and_gives_what_it_says():
    names = run("simulate")
    assert np.isfinite(names["gradient"]).all()
    assert np.abs(names["gradient"]).max() > 0
    times = names["runs"].output.times
    assert times.shape[:2] == (2, 3)
    np.testing.assert_allclose(times[0, :, 0], names["run"].output.times[:, 0], rtol=1e-12)
    later = ss.Spikes(names["inputs"].times + 0.2, names["inputs"].sources)
    alone = ss.simulate(names["network"], later, 4.0).output.times
    np.testing.assert_allclose(times[1, :, 0], alone[:, 0], rtol=1e-12)
    assert (names["stepped"].output.signals.sum(0) > 0).all()
    assert names["voltages"].shape[1] == 2


def test_rules_agree_as_the_page_of_the_rules_says():
    names = run("gradients")
    np.testing.assert_allclose(names["reversed_in_time"], names["recorded"], rtol=1e-10)
    assert names["curvature"].shape == (3, 2, 3, 2)
    silent = ss.Network(ss.Layer(ss.LIF(1.0), ss.Dense(names["silent"])))
    assert int(ss.simulate(silent, names["inputs"], 4.0).output.counts.sum()) == 0
    assert bool(jnp.all(names["told"] < 0))
    network = ss.Network(ss.Layer(ss.QIF(1.0), ss.Dense(names["w_in"])))

    def first_spike(weights):
        return ss.simulate(eqx.tree_at(of_weights, network, weights), names["inputs"], 4.0).output.times[0, 0]

    np.testing.assert_allclose(names["slope"], jax.grad(first_spike)(names["w_in"]), rtol=1e-10)
    assert names["bend"].shape == (3, 2, 3, 2)


def test_every_neuron_behind_the_door_is_in_the_picture():
    names = run("neurons")
    neurons = {
        name for name in dir(ss) if isinstance(one := getattr(ss, name), type) and issubclass(one, ss.AbstractNeuron)
    }
    drawn = {type(neuron).__name__ for neuron, _, _ in names["shown"].values()}
    assert neurons - {"AbstractNeuron", "NumericalNeuron"} == drawn
    picture = (PAGES / "use/neurons.svg").read_text()
    assert all(f">{name}<" in picture for name in names["shown"])
    assert all(axis.lines[0].get_ydata().size == 701 for axis in names["axes"].flat)


def test_own_data_are_learned_by_either_gradient():
    names = run("own-data")
    assert names["exact"][-1]["test_accuracy"] > 0.9
    assert names["surrogate"][-1]["test_accuracy"] > 0.9


def test_an_own_neuron_spikes_and_its_derivative_is_that_of_differences():
    names = run("own-neuron")
    near = [float(names["spike"](jnp.asarray(6.0 + shift))) for shift in (-1e-4, 1e-4)]
    assert 0 < float(names["time"]) < 5
    assert float(names["slope"]) == pytest.approx((near[1] - near[0]) / 2e-4, rel=1e-5)


def test_delays_have_their_gradient():
    gradient = run("delays")["gradient"]
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0


def test_sparse_networks_and_exponents():
    assert run("millions")["run"].output.spikes.count > 0
    assert np.isfinite(run("stability")["spectrum"].exponents).all()


def test_no_example_is_left_out():
    assert set(EXAMPLES) == {
        "index",
        "simulate",
        "gradients",
        "own-data",
        "own-neuron",
        "delays",
        "millions",
        "neurons",
        "stability",
        "gpu",
    }


def test_who_asks_for_kernels_on_a_gpu_has_those_of_the_processor_where_there_is_none():
    """In a process of its own: what is asked for holds for the whole of it."""
    (block,) = EXAMPLES["gpu"]
    code = f"""{block}
import jax.numpy as jnp
import stablespike as ss
layer = ss.Layer(ss.LIF(1.0), ss.Dense(3 * jnp.ones((2, 2))))
run = ss.simulate(ss.Network(layer), ss.Spikes(jnp.array([0.1, 0.2]), jnp.array([0, 1])), 1.0)
assert run.output.counts.tolist() == [1, 1]"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reference_has_all_that_is_behind_the_door():
    groups = site.door()
    assert {name for names in groups.values() for name in names} == set(ss.__all__) - {"__version__"}
    for names in groups.values():
        for name, module in names.items():
            assert getattr(ss, name).__name__ == name
            assert (ROOT / "src" / f"{module.replace('.', '/')}.py").exists()


def test_every_question_of_the_readme_has_a_page_with_its_reading(made):
    asked = site.questions()
    assert len(asked) == len({one.name for one in asked}) > 20
    for one in asked:
        page = (made / f"pages/questions/{one.name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {one.title}")
        assert one.introduction
        assert one.reading or one.name == "first-steps" or "benchmarks" in one.name or "compared" in one.name, one.name
        assert "$" not in page
        assert f"notebooks/{one.name}.py" in page


def test_what_has_no_result_is_named_and_what_has_is_linked():
    one = site.Question("example", "Does it?", "Does it?", "**Question.** $x^2$?", "A caption.", "Yes.")
    bare, full = site.page_of(one, {}), site.page_of(one, {"paper": ["notebook.html", "figure.png", "table.csv"]})
    assert "scale `quick`: not run" in bare
    assert "figure.png" not in bare
    assert "A caption." not in bare
    assert "<msup>" in full
    assert "(example/paper/notebook.html)" in full
    assert "[table.csv](example/paper/table.csv)" in full


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_links_lead_somewhere(page, made):
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        if not link.endswith(".pdf"):  # manuscripts are made by a run
            assert (made / "pages" / page.relative_to(PAGES).parent / link).exists(), link


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_tests_that_a_page_names_are_there(page):
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), name


def test_the_navigation_names_pages_that_are_there(made):
    def files(place):
        if isinstance(place, str):
            yield place
        for inner in place.values() if isinstance(place, dict) else place if isinstance(place, list) else ():
            yield from files(inner)

    told = json.loads((made / "mkdocs.yml").read_text())
    named = set(files(told["nav"]))
    there = {str(path.relative_to(made / "pages")) for path in (made / "pages").rglob("*.md")}
    assert named == there
