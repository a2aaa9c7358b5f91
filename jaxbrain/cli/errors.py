"""What is reported to the user instead of a traceback."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """Everything that is wrong with what the user asked, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


def output_problems(path: Path | None, overwrite: bool, suffixes: tuple[str, ...]) -> list[str]:
    """What speaks against writing this file; found out before any work is done."""
    if path is None:
        return []
    problems = []
    if path.suffix.lower() not in suffixes:
        problems.append(f"{path}: the name must end in {' or '.join(suffixes)}")
    if path.is_dir():
        problems.append(f"{path} is a folder: name a file in it")
    elif not path.parent.is_dir():
        problems.append(f"{path}: there is no folder {path.parent}")
    elif path.exists() and not overwrite:
        problems.append(f"{path} exists already: pass --overwrite to replace it")
    return problems
