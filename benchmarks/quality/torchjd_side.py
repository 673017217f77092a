"""TorchJD's aggregations of given matrices; run by `torchjd_agreement` in an environment that has TorchJD.

python torchjd_side.py <matrices.npz> <results.npz>
"""

import sys
import warnings

import numpy as np
import torch
import torchjd.aggregation as jd
from torchjd.linalg import QuadprogProjector

warnings.simplefilter("ignore")
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def aggregations(matrix: torch.Tensor) -> dict[str, torch.Tensor]:
    """By our names, each times what the two conventions differ by."""
    tasks = len(matrix)
    found = {
        "cagrad": jd.CAGrad(c=0.4)(matrix) / (1 + 0.4**2),
        "mgda": tasks * jd.MGDA(epsilon=1e-10, max_iters=20_000)(matrix),
        "imtl_g": jd.IMTLG()(matrix),
        "nash_mtl": jd.NashMTL(tasks, max_norm=0.0, optim_niter=100)(matrix),
        "aligned_mtl": tasks * jd.AlignedMTL()(matrix),
        "upgrad": jd.UPGrad(projector=QuadprogProjector(norm_eps=1e-12, reg_eps=1e-10))(matrix),
        "upgrad, TorchJD's defaults": jd.UPGrad()(matrix),
    }
    if tasks == 2:  # with more, the result depends on random orders
        vaccine = jd.GradVac(beta=0.5)
        found |= {"pcgrad": jd.PCGrad()(matrix), "gradvac": [vaccine(matrix) for _ in range(3)][-1]}
    return found


if __name__ == "__main__":
    with np.load(sys.argv[1]) as matrices:
        results = {
            f"{name}/{key}": result.numpy()
            for key in matrices
            for name, result in aggregations(torch.tensor(matrices[key])).items()
        }
    np.savez(sys.argv[2], **results)
