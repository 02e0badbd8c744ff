"""Runs cases from fixed seeds in processes of their own, and counts what came of them.

Outcomes: `result`; `sentence`, an error of our own; `foreign`, any other; `wrong`, a result that is not what was
written, or a whole file refused; `dead`, a process that crashed or used more than its CPU seconds; `absent`, what this
version of the package does not have. Memory is bounded; where a process dies the next goes on behind the case.
"""

import argparse
import collections
import json
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings

MEMORY = 8 << 30  # bytes
SECONDS = 20  # of CPU a case


class Wrong(Exception):
    """A result that is not what it should be."""


def outcome(thunk):
    """Kind of outcome, with a text and the line of ours that was reached last."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thunk()
    except Wrong as error:
        return "wrong", str(error), ""
    except ImportError as error:
        return "absent", str(error), ""
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [
            frame for frame in frames if "/stablespike/" in frame.filename and "site-packages" not in frame.filename
        ]
        place = f"{pathlib.Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        text = f"{type(error).__name__}: {error}"
        raised_here = bool(ours) and frames[-1] is ours[-1] and isinstance(error, ValueError)
        own = type(error).__name__ == "DatasetError" or raised_here
        return ("sentence" if own and text.endswith((".", ")")) else "foreign"), text, place
    return "result", "", ""


def work(kinds, first, count, seed, log):
    """Run cases in this process and write a line before and after each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with log.open("a") as file:
        for number in range(first, count):
            chance = random.Random(f"{seed}-{number}")
            folder = pathlib.Path(tempfile.mkdtemp(prefix="fuzz-"))
            make = chance.choice(kinds)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            what, thunk = make(chance, folder)
            begun = {"case": number, "kind": make.__name__, "what": what}
            print(json.dumps(begun), file=file, flush=True)
            print(
                json.dumps(dict(zip(("outcome", "text", "place"), outcome(thunk), strict=True))), file=file, flush=True
            )
            signal.setitimer(signal.ITIMER_PROF, 0)
            shutil.rmtree(folder, ignore_errors=True)


def run(module, count, seed):
    """All cases with their outcomes, across as many processes as die."""
    with tempfile.TemporaryDirectory() as folder:
        log, cases = pathlib.Path(folder, "log"), []
        log.touch()
        while len(cases) < count:
            options = [str(count), "--seed", str(seed), "--from", str(len(cases)), "--log", str(log)]
            done = subprocess.run([sys.executable, "-m", module, *options], capture_output=True, text=True, check=False)
            cases = paired(log.read_text().splitlines())
            if done.returncode and (not cases or "outcome" in cases[-1]):
                raise RuntimeError(f"The fuzz itself is broken: {done.stderr[-2000:]}")
            if "outcome" not in cases[-1]:
                cases[-1] |= {"outcome": "dead", "text": f"signal {-done.returncode}", "place": ""}
                with log.open("a") as file:
                    print(json.dumps({key: cases[-1][key] for key in ("outcome", "text", "place")}), file=file)
    return cases


def paired(lines):
    """Cases from a log, the last perhaps without an outcome."""
    rows = [json.loads(line) for line in lines]
    cases = []
    for row in rows:
        if "case" in row:
            cases.append(row)
        else:
            cases[-1] |= row
    return cases


def report(cases):
    """A table of kinds and outcomes, and an example of each fault."""
    outcomes = ("result", "sentence", "foreign", "wrong", "dead", "absent")
    table = collections.Counter((case["kind"], case["outcome"]) for case in cases)
    print(f"{'':16}" + "".join(f"{name:>10}" for name in outcomes))
    for kind in sorted({case["kind"] for case in cases}):
        print(f"{kind:16}" + "".join(f"{table[kind, name]:10}" for name in outcomes))
    total = collections.Counter(case["outcome"] for case in cases)
    print(f"{'all':16}" + "".join(f"{total[name]:10}" for name in outcomes))
    faults = collections.defaultdict(list)
    for case in cases:
        if case["outcome"] in ("foreign", "wrong", "dead"):
            faults[case["outcome"], case["kind"], case["place"], case["text"].split(":")[0][:40]].append(case)
    for some in sorted(faults.values(), key=len, reverse=True):
        one = some[0]
        place = f"{one['outcome']} {one['kind']} {one['place']}"
        print(f"{len(some)} x {place}: {one['text'][:200]} [{one['case']}: {one['what'][:150]}]")


def main(module, kinds):
    """Run as many cases as the command line asks for, each a function of `kinds` of a generator and a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--log", type=pathlib.Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.log:
        work(kinds, chosen.first, chosen.count, chosen.seed, chosen.log)
    else:
        report(run(module, chosen.count, chosen.seed))
