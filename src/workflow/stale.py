"""List the products that no longer match code or configuration, and why."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from workflow.configuration import load_configuration
from workflow.faults import Fault
from workflow.manuscript import MANUSCRIPT, why_manuscript_stale
from workflow.provenance import confirmation, has_old_prose, why_stale


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


def confirmed_products(scale: str) -> dict[str, str]:
    """Return what was replayed of each product of a scale that is current because a part of it was confirmed."""
    if not Path("results", scale).is_dir():
        return {}
    configuration = load_configuration(Path("config", f"{scale}.yaml"))
    stamps = {name: confirmation(question, configuration) for name, question in configuration.questions.items()}
    return {
        name: f"{', '.join(f'{n} rows of {table}' for table, n in stamp['rows'].items())} on {stamp['when']}"
        for name, stamp in stamps.items()
        if stamp
    }


def main() -> None:
    """Print the stale products of a scale, or of all; the exit status says whether there are any."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    scales = sorted(path.stem for path in Path("config").glob("*.yaml") if path.stem != "config.schema")
    parser.add_argument("--scale", choices=scales, help="all scales if not given")
    chosen = parser.parse_args().scale
    try:
        found = {scale: stale_products(scale) for scale in ([chosen] if chosen else scales)}
        confirmed = {scale: confirmed_products(scale) for scale in found}
    except Fault as fault:
        sys.exit(str(fault))
    report(found, confirmed)
    sys.exit(any(found.values()))


def report(found: Mapping[str, Mapping[str, list[str]]], confirmed: Mapping[str, Mapping[str, str]]) -> None:
    """Print what is stale for each scale; a reader such as `head` may leave before the end."""
    try:
        for scale, products in found.items():
            print(f"{scale}: {state(scale, len(products))}")
            for name, why in products.items():
                print(f"  {name}: {'; '.join(why)}")
            for name, what in confirmed.get(scale, {}).items():
                print(f"  {name}: current (confirmed: {what})")
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
