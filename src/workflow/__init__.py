"""From notebooks to the manuscript: the rules of the workflow, the notebook runner and the provenance of results."""

import sys

# nbformat imports jsonschema, which would spend seconds of every job on compiling a grammar of internationalised
# addresses; it does without where the optional package is missing, and no notebook is checked against such a format.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
