"""The table of moved and renamed code: present names are read as those under which results were recorded."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workflow.faults import Fault

TABLE = Path("src/workflow/renames.toml")


@dataclass(frozen=True)
class Renames:
    """Rows old name -> new name of modules, packages and definitions, in full."""

    rows: Mapping[str, str] = field(default_factory=dict)

    def recorded(self, name: str) -> str:
        """Return the first name of what has a name now."""
        return follow(name, {new: old for old, new in self.rows.items()})

    def present(self, name: str) -> str:
        """Return the present name of what had a name once."""
        return follow(name, self.rows)

    def check(self, exists: Callable[[str], bool]) -> None:
        """Raise a Fault where rows contradict one another or the code."""
        if len(set(self.rows.values())) < len(self.rows):
            twice = next(new for new in self.rows.values() if list(self.rows.values()).count(new) > 1)
            raise Fault(f"{TABLE}: two rows lead to {twice}: what was two things before cannot be one by a rename.")
        for old, new in self.rows.items():
            if exists(old):
                raise Fault(f"{TABLE}: {old} is still there, so that it was not renamed: remove the row, or the code.")
            if not exists(now := self.present(new)):
                raise Fault(f"{TABLE}: {old} is said to be {now} now, which does not exist: correct or remove the row.")


def follow(name: str, rows: Mapping[str, str]) -> str:
    """Return where a name leads, row by row; the most special row that fits goes first."""
    for _ in range(len(rows) + 1):
        fitting = [old for old in rows if name == old or name.startswith(f"{old}.")]
        if not fitting:
            return name
        longest = max(fitting, key=len)
        name = rows[longest] + name[len(longest) :]
    raise Fault(f"{TABLE}: the rows around {name} lead in a circle.")


def read_renames(root: Path) -> str:
    """Return the text of the table, empty where there is none."""
    file = root / TABLE
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def parse_renames(text: str) -> Renames:
    """Return the rows of a table."""
    try:
        rows = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Fault(f"{TABLE} is not TOML: {error}.") from error
    for old, new in rows.items():
        if not isinstance(new, str):
            raise Fault(f'{TABLE}: write "{old}" in quotation marks, and its new name as a text.')
    return Renames(rows)
