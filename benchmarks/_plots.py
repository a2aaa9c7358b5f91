"""The plots of benchmarks/README.md, from the newest results."""

from pathlib import Path

from ._formats import results

PLOTS = Path(__file__).parent / "plots"


def draw() -> None:
    from matplotlib.figure import Figure

    PLOTS.mkdir(exist_ok=True)
    found = results("brain_stage")
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for axis, (what, label) in zip(
        axes,
        (
            ("n_brain", "recordings (256 inputs, 512 channels)"),
            ("inputs", "inputs (512 channels, 4 recordings each)"),
            ("channels", "channels (512 inputs, 2 048 recordings)"),
        ),
        strict=True,
    ):
        for side, name, style in (
            ("numpy", "NumPy, data and fit", "s--"),
            ("jaxbrain", "jaxbrain, reduced", "o-"),
        ):
            rows = [row for row in found[what]["rows"] if side in row]
            sizes = [row["size"] for row in rows]
            exponent = found[what]["exponents"][side]
            axis.loglog(
                sizes,
                [row[side]["median_s"] for row in rows],
                style,
                color="tab:gray" if side == "numpy" else "tab:blue",
                label=f"{name}: slope {exponent:.1f}",
            )
        axis.set_xlabel(label)
        axis.legend(frameon=False, fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds of a draw")
    figure.savefig(PLOTS / "brain_stage.png", dpi=120)

    growth = results("estimators")["growth"]
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axis = figure.subplots()
    for name, times_of_one in growth["times"].items():
        axis.loglog(
            growth["inputs"],
            [time["median_s"] for time in times_of_one],
            "o-",
            label=f"{name}: slope {growth['exponents'][name]:.1f}",
        )
    axis.set_xlabel("inputs (four rows each)")
    axis.set_ylabel("seconds")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    figure.savefig(PLOTS / "estimators.png", dpi=120)
