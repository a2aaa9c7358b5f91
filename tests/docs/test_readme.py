"""What the README shows runs as it stands, and prints what it says."""

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_prints_what_stands_below_it(capsys):
    (code,), (printed,) = blocks("python"), blocks("text")
    exec(code, {})
    assert capsys.readouterr().out == printed


def test_the_two_commands_are_those_that_ci_and_readers_look_for():
    assert blocks("sh") == [
        "python -m pip install . && jaxbrain worth\n",
        "python -m pip install '.[test]' && python -m pytest\n",
    ]


def test_it_is_short():
    """What decides whether to stay, some 500 words; the rest is documentation."""
    assert len(re.sub(r"```.*?```", "", README, flags=re.DOTALL).split()) < 600
