"""Separable sums against einsum."""

import numpy as np

from ptvkit.kernels.separable import contract, product_sum


def test_sums_are_those_of_einsum():
    rng = np.random.default_rng(0)
    share = rng.random((4, 5, 6)) * (rng.random((4, 5, 6)) > 0.3)
    share[1] = 0
    x, y, z = (rng.standard_normal((3, n, 2, m)) for n, m in ((4, 2), (5, 3), (6, 4)))
    sign = np.array([1.0, -1.0])
    expected = np.einsum("t,ijk,nita,njtb,nktc->nabc", sign, share, x, y, z)
    assert np.allclose(contract(share, x, y, z, sign), expected)
    a, b, c = (rng.standard_normal((3, 2, n)) for n in (4, 5, 6))
    assert np.allclose(product_sum(a, b, c, sign), np.einsum("t,nti,ntj,ntk->ijk", sign, a, b, c))
