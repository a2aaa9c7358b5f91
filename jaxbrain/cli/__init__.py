"""The command line. It holds no mathematics: it reads, calls the library, and prints."""

from __future__ import annotations

import inspect
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, get_type_hints

import tyro

from .errors import UserError, machine_problem
from .input.whole import in_digits
from .processes import speaking_alone, supervised
from .signals import Ended, ended_by_signals
from .streams import escaped_errors, printable

__all__ = ["main"]

# Of the problems of one input.
_MOST_TOLD = 100


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `jaxbrain`.

    Exit status 0; 2 where the user's input, or the machine, is at fault; 130 and 143 after SIGINT
    and SIGTERM.
    """
    # OpenBLAS's threads and XLA's wait for each other. OpenBLAS reads this when it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if arguments is None:
        arguments = sys.argv[1:]
        if "--distributed" in arguments:
            sys.exit(supervised(arguments))
    interrupted = _how_to_go_on(arguments)
    try:
        with ended_by_signals(interrupted):
            if "--distributed" in arguments:
                with speaking_alone() as put_back:
                    answer = _answer(arguments)
                    with put_back():
                        _print(answer)
            else:
                _print(_answer(arguments))
    except UserError as error:
        _complain(error.problems)
        sys.exit(2)
    except OSError as error:
        # Files have names, and their faults are told where they are opened.
        if error.filename is not None:
            raise
        sys.exit(_unprinted(error))
    except (Ended, KeyboardInterrupt) as error:
        print(interrupted, file=sys.stderr)
        sys.exit(128 + (error.number if isinstance(error, Ended) else signal.SIGINT))


def _how_to_go_on(arguments: list[str]) -> str:
    """What is said after a signal."""
    said = (
        "tables that are complete stay where they are: the same command with --resume goes on"
        if arguments[:1] == ["reproduce"]
        else "nothing was written: start it again"
    )
    return f"jaxbrain: interrupted; {said}"


def _complain(problems: list[str]) -> None:
    for problem in problems[:_MOST_TOLD]:
        print(f"jaxbrain: {printable(problem)}", file=sys.stderr)
    if len(problems) > _MOST_TOLD:
        print(f"jaxbrain: {len(problems) - _MOST_TOLD} more problems", file=sys.stderr)


def _answer(arguments: list[str]) -> str:
    """What the command prints in the end."""
    import jax

    from .. import __version__
    from .cache import programs_kept
    from .commands.fit import fit
    from .commands.info import info
    from .commands.pilot import pilot
    from .commands.plan import plan
    from .commands.report import report
    from .commands.reproduce import reproduce
    from .commands.simulate import simulate
    from .commands.worth import worth

    # A program of its own may choose its precision; the library never does.
    jax.config.update("jax_enable_x64", True)
    if arguments == ["--version"]:
        return f"jaxbrain {__version__}"
    commands = (worth, plan, report, simulate, fit, pilot, reproduce, info)
    arguments = _config_first(arguments)
    for command in commands:
        if arguments[:1] == [command.__name__]:
            arguments = in_digits(arguments, command)
    try:
        with programs_kept(), escaped_errors(arguments):
            return tyro.extras.subcommand_cli_from_dict(
                {command.__name__: _with_defaults_in_words(command) for command in commands},
                prog="jaxbrain",
                description="How much are brain recordings worth for machine learning? "
                "(--version prints the version.)",
                args=arguments,
            )
    except UserError:
        raise
    except Exception as error:
        problem = machine_problem(error)
        if problem is None:
            raise
        raise UserError([problem]) from error


def _config_first(arguments: list[str]) -> list[str]:
    """`--config FILE`, as it was written before, as the first argument of a command."""
    for place, argument in enumerate(arguments[1:], 1):
        name, equals, file = argument.partition("=")
        if name != "--config" or arguments[0] not in ("worth", "plan", "simulate"):
            continue
        end = place + 1 if equals else place + 2
        if end > len(arguments):
            break
        file = file if equals else arguments[place + 1]
        return [arguments[0], file, *arguments[1:place], *arguments[end:]]
    return arguments


def _with_defaults_in_words(command: Callable[..., str]) -> Callable[..., str]:
    """Leave "(default: None)" out of its help: the docstring says what happens without a value."""
    unsaid = tyro.conf.arg(help_behavior_hint="")
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        if parameter.default in (None, ()):
            hints[name] = Annotated[hints[name], unsaid]
    command.__annotations__ = hints
    return command


def _print(answer: str) -> None:
    """Print it; a terminal that lacks a sign shows a question mark, and a reader may have gone."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print("\n".join(map(printable, answer.split("\n"))), end="\n" if answer else "", flush=True)


def _unprinted(error: OSError) -> int:
    """The exit status where an answer, or a help text, could not be printed."""
    # Python flushes once more when it ends, and would complain of that.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        # As a shell tells of a program that was ended by the signal.
        return 128 + 13
    print(f"jaxbrain: the answer cannot be printed ({error.strerror})", file=sys.stderr)
    return 2
