"""Turn a run of moving-bar fMRI into a file for `jaxbrain fit`.

    python notebooks/prepare_szinte2024.py v1.npz v1_fit.npz
    jaxbrain fit v1_fit.npz --components 20 --rank 3 --n-brain 80 --n-task 30 --n-test 40

The source (Szinte et al. 2024, as shipped with the repository braincoder) holds `stimulus`, shape
(volumes, blocks), and `bold`, shape (volumes, vertices). Some of the vertices that the stimulus
predicts best become the targets, each a task of its own; all other vertices are the recordings.
"""

import sys
from pathlib import Path

import numpy as np

N_CANDIDATES = 400
N_TARGETS = 40
N_COMPONENTS = 20


def prepare(source: Path, destination: Path, seed: int = 0) -> None:
    with np.load(source, allow_pickle=False) as file:
        stimulus, bold = file["stimulus"].astype(float), file["bold"].astype(float)
    centred = stimulus - stimulus.mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[0][:, :N_COMPONENTS]
    standard = (bold - bold.mean(axis=0)) / bold.std(axis=0)
    predicted = np.sum((components.T @ standard) ** 2, axis=0)
    candidates = np.argsort(-predicted)[:N_CANDIDATES]
    chosen = np.random.default_rng(seed).choice(candidates, N_TARGETS, replace=False)
    with destination.open("xb") as file:  # never overwrites
        np.savez(
            file,
            inputs=stimulus[:, stimulus.std(axis=0) > 0],
            recordings=np.delete(bold, chosen, axis=1),
            targets=bold[:, chosen],
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))
