"""List the products that no longer match code or configuration, and why."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workflow.configuration import load_configuration
from workflow.faults import Fault
from workflow.manuscript import MANUSCRIPT, why_manuscript_stale
from workflow.provenance import has_old_prose, why_stale


def stale_products(scale: str) -> dict[str, list[str]]:
    """Return why each stale product of a scale is stale; a scale that was never run has none."""
    if not Path("results", scale).is_dir():
        return {}
    configuration = load_configuration(Path("config", f"{scale}.yaml"))
    reasons = {name: why_stale(question, configuration) for name, question in configuration.questions.items()}
    for name, question in configuration.questions.items():
        if has_old_prose(question) and not reasons[name]:
            reasons[name] = ["the executed copy has older prose"]
    reasons[MANUSCRIPT] = why_manuscript_stale(configuration)
    return {name: why for name, why in reasons.items() if why}


def main() -> None:
    """Print the stale products of a scale, or of all; the exit status says whether there are any."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    scales = sorted(path.stem for path in Path("config").glob("*.yaml") if path.stem != "config.schema")
    parser.add_argument("--scale", choices=scales, help="all scales if not given")
    chosen = parser.parse_args().scale
    try:
        found = {scale: stale_products(scale) for scale in ([chosen] if chosen else scales)}
    except Fault as fault:
        sys.exit(str(fault))
    report(found)
    sys.exit(any(found.values()))


def report(found: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Print what is stale for each scale; a reader such as `head` may leave before the end."""
    try:
        for scale, products in found.items():
            print(f"{scale}: {state(scale, len(products))}")
            for name, why in products.items():
                print(f"  {name}: {'; '.join(why)}")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python flushes once more, into nothing


def state(scale: str, count: int) -> str:
    """Return one scale's state in words."""
    if not Path("results", scale).is_dir():
        return "not run yet"
    return f"{count} not current" if count else "everything is current"


if __name__ == "__main__":
    main()
