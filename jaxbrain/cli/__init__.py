"""The command line. It holds no mathematics: it reads, calls the library, and prints."""

from __future__ import annotations

import os
import sys

import tyro

from .errors import UserError


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `jaxbrain`. Exit status 0, or 2 where the user's input is at fault."""
    # Threads of LAPACK's OpenBLAS and those of XLA wait for each other; read when the first is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import jax

    from .. import __version__
    from .fit import fit
    from .info import info
    from .plan import plan
    from .report import report
    from .reproduce import reproduce
    from .simulate import simulate
    from .worth import worth

    # A program of its own may choose its precision; the library never does.
    jax.config.update("jax_enable_x64", True)
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        print(f"jaxbrain {__version__}")
        return
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "worth": worth,
                "plan": plan,
                "report": report,
                "simulate": simulate,
                "fit": fit,
                "reproduce": reproduce,
                "info": info,
            },
            prog="jaxbrain",
            description="How much are brain recordings worth for machine learning?",
            args=arguments,
        )
    except UserError as error:
        for problem in error.problems:
            print(f"jaxbrain: {problem}", file=sys.stderr)
        sys.exit(2)
