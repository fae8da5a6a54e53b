"""Sums over a lattice whose weights are sums of products, axis by axis."""

import numpy as np
from numpy.typing import NDArray

from ptvkit.kernels.jit import kernel, run_in_slices

Floats = NDArray[np.float64]


def contract(share: Floats, x: Floats, y: Floats, z: Floats, sign: Floats) -> Floats:
    """``Σ_t sign_t Σ_ijk share_ijk x_nita y_njtb z_nktc``, (N, A, B, C), for each of N sets of weights.

    Parameters
    ----------
    share : (I, J, K)
    x, y, z : (N, I, T, A), (N, J, T, B), (N, K, T, C)
    sign : (T,)
    """
    out = np.zeros((len(x), x.shape[3], y.shape[3], z.shape[3]))
    run_in_slices(_contract, len(x), share, x, y, z, sign, out)
    return out


def product_sum(x: Floats, y: Floats, z: Floats, sign: Floats) -> Floats:
    """``Σ_nt sign_t x_nti y_ntj z_ntk``, (I, J, K).

    Parameters
    ----------
    x, y, z : (N, T, I), (N, T, J), (N, T, K)
    sign : (T,)
    """
    out = np.zeros((x.shape[2], y.shape[2], z.shape[2]))
    run_in_slices(_product_sum, len(out), x, y, z, sign, out)
    return out


@kernel
def _contract(start: int, stop: int, share: Floats, x: Floats, y: Floats, z: Floats, sign: Floats, out: Floats) -> None:
    ni, nj, nk = share.shape
    terms, na, nb, nc = len(sign), x.shape[3], y.shape[3], z.shape[3]
    line = np.empty((terms, nc))
    plane = np.empty((terms, nb, nc))
    for n in range(start, stop):
        for i in range(ni):
            plane[:] = 0.0
            seen = False
            for j in range(nj):
                line[:] = 0.0
                some = False
                for k in range(nk):
                    value = share[i, j, k]
                    if value != 0.0:
                        some = True
                        for t in range(terms):
                            for c in range(nc):
                                line[t, c] += value * z[n, k, t, c]
                if not some:
                    continue
                seen = True
                for t in range(terms):
                    for b in range(nb):
                        weight = y[n, j, t, b]
                        for c in range(nc):
                            plane[t, b, c] += weight * line[t, c]
            if not seen:
                continue
            for t in range(terms):
                for a in range(na):
                    weight = sign[t] * x[n, i, t, a]
                    for b in range(nb):
                        for c in range(nc):
                            out[n, a, b, c] += weight * plane[t, b, c]


@kernel
def _product_sum(start: int, stop: int, x: Floats, y: Floats, z: Floats, sign: Floats, out: Floats) -> None:
    count, terms, _ = x.shape
    _, nj, nk = out.shape
    for i in range(start, stop):
        for n in range(count):
            for t in range(terms):
                first = sign[t] * x[n, t, i]
                if abs(first) < 1e-15:
                    continue
                for j in range(nj):
                    weight = first * y[n, t, j]
                    for k in range(nk):
                        out[i, j, k] += weight * z[n, t, k]
