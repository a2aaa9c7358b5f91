"""Execute the notebooks, from the text that each is kept as (jupytext, py:percent).

    python notebooks/execute.py [--to FOLDER] [NAME ...]

Without names, all of them. Without a folder, the .ipynb beside each text is made anew, outputs
included. Needs the extra `docs`.
"""

import argparse
from pathlib import Path

HERE = Path(__file__).parent
_DATA = "../../shared/data"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--to",
        type=Path,
        default=HERE,
        metavar="FOLDER",
        help="where to write; by default the notebooks beside the texts are replaced",
    )
    texts = {text.stem: text for text in sorted(HERE.glob("[0-9]_*.py"))}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(texts)}")
    arguments = parser.parse_args()
    folder, names = arguments.to, arguments.names or list(texts)
    if unknown := [name for name in names if name not in texts]:
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(texts)}")
    try:
        import jupytext
        import nbclient
        import nbformat
    except ImportError as missing:
        parser.error(f"{missing.name} is missing: pip install 'jaxbrain[docs]'")
    for text in (texts[name] for name in names):
        if _DATA in text.read_text() and not (HERE / _DATA).exists():
            print(f"{text.stem}: skipped, its data are not here")
            continue
        notebook = jupytext.read(text)
        client = nbclient.NotebookClient(
            notebook,
            # What a cell prints is one output, however the kernel's messages cut it.
            coalesce_streams=True,
            resources={"metadata": {"path": str(HERE)}},
        )
        client.execute()
        for number, cell in enumerate(notebook.cells):
            # The same text is the same file: no random names, no times.
            cell["id"] = f"cell-{number}"
            cell.metadata.pop("execution", None)
            if "outputs" in cell:
                cell.outputs = [output for output in cell.outputs if not _is_address(output)]
        notebook.metadata.pop("language_info", None)
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / f"{text.stem}.ipynb")
        print(text.stem)


def _is_address(output: dict) -> bool:
    return " at 0x" in output.get("data", {}).get("text/plain", "")


if __name__ == "__main__":
    main()
