"""What is said of a study that cannot be read."""

from __future__ import annotations

from typing import NamedTuple


class StudyError(ValueError):
    """Everything that is wrong with a description of a study, one line each in `problems`."""

    def __init__(self, problems: list[str]):
        """One line for each problem."""
        super().__init__("\n".join(problems))
        self.problems = problems


class Memory(NamedTuple):
    """How much memory may be taken, and how the limit is called where it was given."""

    most: float
    """In bytes."""
    said: str

    @classmethod
    def of_command(cls, gigabytes: float) -> Memory:
        """That of an option of the command line."""
        return cls(1e9 * gigabytes, f"--max-gigabytes {gigabytes:g}")

    def problem(self, what: str, needed: float, remedy: str) -> list[str]:
        """What is wrong where something takes more than that."""
        if needed <= self.most:
            return []
        return [
            f"{what} some {needed / 1e9:.2g} GB, more than {self.said}: {remedy}, or allow more"
        ]


def flag(name: str) -> str:
    """An argument as it is written on the command line."""
    return f"--{name.replace('_', '-')}"
