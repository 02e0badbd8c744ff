# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data sets of spikes
#
# **Question.** Are the data sets that this repository knows what they are said to be: so many trials, classes and
# speakers, with so many spikes, and no speaker on both sides of a split?
#
# A network's accuracy says little without the numbers of its task. A set whose files are not there is listed with the
# file that is missing, and where it belongs: what a table leaves out in silence is easily believed to have been looked
# at. The answer would be "no" if a set that claims to test unseen speakers tested seen ones.

# %% [markdown]
# ## Where they come from
#
# - **Made here, without a download.** Words of a bundled synthesiser in many voices, heard by the cochlea of
# `from-sound-to-spikes`; scikit-learn's scanned digits in three codes: *latency*, where a pixel of grey value $g$
# spikes once at $t_{max}(1-g/g_{max})$, *burst*, where it spikes up to five times, and *thresholds*, where pixels come
# one after the other and a channel spikes when its grey value is crossed; Yin-Yang (Kriener et al. 2022), points in the
# plane as latencies.
# - **From the data folder.** Recordings of the Heidelberg Digits heard by the published conversion; N-MNIST (Orchard et
# al. 2015) by an event camera; Braille letters under a robot's finger (Müller-Cleve et al. 2022); MNIST and
# Fashion-MNIST in the latency code, of each the first images only.
# - **Published sets of full size**, which `./reproduce .cache/data/<name>.sha256` fetches through tonic: `shd`, `ssc`,
# `nmnist`, `dvs-gesture`.

# %% [markdown]
# ## Parameters

# %% tags=["parameters"]
latest = 0.1  # s; spike time of the darkest pixel that spikes, in the latency code
images = 1000  # of MNIST and Fashion-MNIST, for training and for the test each
points = 1000  # of Yin-Yang
linear = ["synthetic digits", "Heidelberg Digits", "N-MNIST, first", "Braille"]  # sets that are classified
example = 0  # test trial that is drawn
results_folder = "../results/draft/datasets"
data_folder = "../data"
cache_folder = "../.cache/spikes/draft"

# %%
import functools
import pathlib

import jax
import pandas as pd
from IPython.display import Image, Markdown
from tqdm import tqdm

from stablespike.figures.products import save_figure, save_numbers, save_table
from stablespike.tasks import named_sets, tonic_datasets
from stablespike.tasks.image_codes import burst_code, coded, latency_code, threshold_crossing_code
from stablespike.tasks.image_files import FASHION_MNIST, MNIST, first_images, idx_images, small_digit_images
from stablespike.tasks.inventory import shared_speakers, spike_rows, statistics, take_inventory
from studies.figures.datasets import datasets_figure
from studies.linear_baseline import logistic_accuracy

jax.config.update("jax_enable_x64", True)
data = pathlib.Path(data_folder)
places = named_sets.Places(data, cache_folder, functools.partial(tqdm, desc="recordings"))

# %% [markdown]
# ## Reading them
#
# Times in s, a channel per pixel, cochlear place, taxel or coordinate.

# %%
grey = functools.partial(coded, latency_code, largest=255, latest=latest)
idx = {"MNIST": ("mnist", MNIST), "Fashion-MNIST": ("fashion-mnist", FASHION_MNIST)}
sets = {
    "synthetic digits": lambda: named_sets.synthetic_small(places),
    "digits, latency": lambda: coded(latency_code, small_digit_images(), largest=16, latest=latest),
    "digits, burst": lambda: coded(burst_code, small_digit_images(), largest=16, most=5, interval=0.01),
    "digits, thresholds": lambda: coded(
        threshold_crossing_code, small_digit_images(), largest=16, thresholds=7, interval=0.002
    ),
    "Yin-Yang": lambda: named_sets.yin_yang_points(points, latest),
    "Heidelberg Digits": lambda: named_sets.heidelberg_spikes(places),
    "N-MNIST, first": lambda: named_sets.nmnist_small(places),
    "Braille": lambda: named_sets.braille_letters(places),
    **{
        name: lambda name=name: grey(first_images(idx_images(data / idx[name][0], idx[name][1], name), images))
        for name in idx
    },
}

# %%
full = {
    "SHD": lambda: tonic_datasets.spiking_heidelberg_digits(data),
    "SSC": lambda: tonic_datasets.spiking_speech_commands(data),
    "N-MNIST": lambda: tonic_datasets.nmnist_through_tonic(data),
    "DVS Gesture": lambda: tonic_datasets.dvs_gesture(data),
}
inventory = take_inventory(sets | full)
table = pd.DataFrame(
    [
        {"set": name, "side": side, **statistics(part)}
        for name, split in inventory.present.items()
        for side, part in zip(("training", "test") if len(split) == 2 else range(len(split)), split, strict=True)
    ]
)
table.set_index(["set", "side"]).round(3)

# %% [markdown]
# ## What is not there

# %%
absent = [f"- **{name}**: {sentence}" for name, sentence in inventory.absent.items()]
Markdown("\n".join(absent) or "Every set is there.")

# %% [markdown]
# ## How hard they are
#
# What a linear classifier reaches that sees counts only: logistic regression on square roots of spike counts in up to
# 35 groups of neighbouring channels and 14 bins of time, trained on the training trials and judged on the test trials,
# those of speakers who were not heard in training where there are speakers. Nothing is tuned. A network that does no
# better has learned no more than how many spikes come where and when.

# %%
measured = [name for name in linear if name in inventory.present]
difficulty = pd.DataFrame(
    {
        name: {
            "linear": logistic_accuracy(inventory.present[name], statistics(inventory.present[name][0])["longest"]),
            "chance": 1 / len(inventory.present[name][0].classes),
        }
        for name in tqdm(measured, desc="baselines")
    }
).T
difficulty.round(3)

# %% [markdown]
# ## What is asserted
#
# Every set is described or missed by name, and none of those classified is so hard that counts tell nothing. Where
# speakers are named, those of the test are not those of the training; SHD alone, as published, shares some.

# %%
assert set(inventory.present) | set(inventory.absent) == set(sets | full)
both = {name: shared_speakers(split) for name, split in inventory.present.items() if name not in ("SHD", "DVS Gesture")}
assert not any(both.values()), f"speakers on both sides: {both}"
assert (difficulty.linear > 2 * difficulty.chance).all(), difficulty

# %%
examples = {
    name: pd.DataFrame(spike_rows(inventory.present[name][1], example), columns=["time", "channel"])
    if name in inventory.present
    else None
    for name in sets | full
}
counts = {name: split[1].channel_count for name, split in inventory.present.items()}
Image(save_figure(datasets_figure(examples, counts), results_folder), width=900)

# %% [markdown]
# **Examples.** One test trial of every set that is there, a dot per spike. Channels count downwards, for sounds from
# the base of the cochlea, where tones are high, to its apex.
#
# ## Reading
#
# The table holds means over trials with the standard deviation of spike counts; the duration is the time of the last
# spike, so that silence at a trial's end is not counted. **Not shown:** how hard a set is, for which
# `spoken-digits` gives a baseline; sets that are absent on the machine that ran this; whether classes are balanced.

# %%
named = {"sets": len(inventory.present), "absent": sorted(inventory.absent), "images": images, "points": points}
short = table[table.side == "training"].set_index("set")
columns = ["trials", "speakers", "channels", "spikes", "spikes_sd", "duration", "rate"]
numbers = named | {"training": {name: row.to_dict() for name, row in short[columns].iterrows()}}
numbers |= {"difficulty": {name: row.to_dict() for name, row in difficulty.iterrows()}}
note = pd.DataFrame([{"set": name, "side": "absent"} for name in inventory.absent])
save_table(pd.concat([table, note], ignore_index=True), results_folder)
save_numbers(numbers, results_folder)

# %% [markdown]
# ## Files written
#
# `figure.{pdf,svg,png}`, `table.csv`, `table.tex` and `numbers.json`.
