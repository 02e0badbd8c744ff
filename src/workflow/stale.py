"""List the products that no longer match code or configuration, and why."""

import argparse
import sys
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
    for scale, products in found.items():
        print(f"{scale}: {state(scale, len(products))}")
        for name, why in products.items():
            print(f"  {name}: {'; '.join(why)}")
    sys.exit(any(found.values()))


def state(scale: str, count: int) -> str:
    """Return one scale's state in words."""
    if not Path("results", scale).is_dir():
        return "not run yet"
    return f"{count} not current" if count else "everything is current"


if __name__ == "__main__":
    main()
