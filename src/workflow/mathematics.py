"""LaTeX formulas as MathML, which browsers draw without a script or a network."""

import re

from latex2mathml.converter import convert

from workflow.faults import Fault

UPRIGHT = re.compile(r"\\mathrm\s*(?:\{([A-Za-z0-9 ,.-]+)\}|([A-Za-z]))")
ENVIRONMENT = re.compile(r"\\(begin|end)\{(?:aligned|align|split|gathered)\}")
ACCENT = re.compile(r"<mover>(?=<mi>[^<]*</mi><mo[^>]*>&#x(?:002D9|000A8|0007E|000AF);)")
UNKNOWN = re.compile(r"\\[A-Za-z]+|<mi>&</mi>")


def mathml(formula: str, display: str = "inline") -> str:
    """Return a formula as MathML, or raise a Fault that names the command which cannot be drawn.

    The converter loses the upright shape of single letters and the tightness of accents, numbers aligned lines and
    passes what it does not know through in silence: all but the last are put right, the last is refused.
    """
    prepared = UPRIGHT.sub(lambda found: rf"\text{{{found[1] or found[2]}}}", formula)
    prepared = ENVIRONMENT.sub(r"\\\1{align*}", prepared)
    try:
        drawn = convert(prepared.strip(), display=display)
    except Exception as error:  # the converter has no common class for what it raises
        raise Fault(
            f"the formula {formula.strip()!r} cannot be converted ({error or type(error).__name__})."
        ) from error
    if unknown := UNKNOWN.search(drawn):
        raise Fault(f"the formula {formula.strip()!r} cannot be converted (at {unknown[0]}).")
    return ACCENT.sub('<mover accent="true">', drawn)
