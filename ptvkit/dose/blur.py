"""The mean dose over many displacements: one correlation with their density, exact for the dose's spline.

With D = Σ c_k β(· − k) on the dose's nodes, the mean over shifts u at a node j is ``Σ_k c_k q(k − j)`` with
``q(n) = mean β(n − u)``: what the shifts spread over the nodes with the spline's own weights. The mean dose is itself
sampled by the spline through its nodes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ptvkit.dose.dose import Dose, spline_of
from ptvkit.kernels.spline import sample_spline, spread_shifts

Floats = NDArray[np.float64]

FEW: Final = 4
"""So many shifts are faster one by one."""
ROOM: Final = 8
"""Nodes beyond what is needed, so that the spline does not feel the edge: .27⁸ of it is left."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blur:
    """A dose prepared for the displacements of a target. Make one with `blur_of`.

    Attributes
    ----------
    dose : Dose
    spectrum : complex array
        Of the dose on a window, as the coefficients of its spline's coefficients: the mean's spline comes out of one
        product.
    lengths, size, reach : (3,)
        Of the transform, of the mean's window, and of the density's.
    mean_to_index, shift_to_index : (3, 4) array
        From mm to the mean's nodes, and from a displacement to those of the density.
    """

    dose: Dose
    spectrum: NDArray[np.complex64]
    lengths: tuple[int, int, int]
    size: tuple[int, int, int]
    reach: tuple[int, int, int]
    mean_to_index: Floats
    shift_to_index: Floats

    def mean(self, points_mm: Floats, shifts_mm: Floats) -> Floats:
        """Mean dose (N,), Gy, of points (N, 3) over displacements (M, 3), mm."""
        if len(shifts_mm) > FEW:
            density = np.zeros(self.reach, np.float32)
            if spread_shifts(density, self.reach, self.shift_to_index, shifts_mm):
                found = self._sampled(density / np.float32(len(shifts_mm)), points_mm)
                if not np.isnan(found).any():
                    return found
        return self.dose.mean_over(points_mm, shifts_mm)

    def _sampled(self, density: NDArray[np.float32], points_mm: Floats) -> Floats:
        # axis by axis: lines that hold no shift, or that nobody reads, are not transformed
        product = fft.rfft(density, self.lengths[2], axis=2)
        product = fft.fft(product, self.lengths[1], axis=1, overwrite_x=True)
        product = fft.fft(product, self.lengths[0], axis=0, overwrite_x=True)
        np.conjugate(product, out=product)
        product *= self.spectrum
        mean = fft.ifft(product, axis=0, overwrite_x=True)[: self.size[0]]
        mean = fft.ifft(mean, axis=1)[:, : self.size[1]]
        window = np.ascontiguousarray(fft.irfft(mean, self.lengths[2], axis=2)[..., : self.size[2]])
        return np.maximum(sample_spline(window, self.mean_to_index, points_mm), 0.0)


def blur_of(dose: Dose, low_mm: Floats, high_mm: Floats, least_mm: Floats, most_mm: Floats) -> Blur:
    """Prepare a dose for points in a box and displacements in another (corners (3,), mm, patient frame).

    Displacements beyond their box are slower, not wrong. Beyond the dose's grid its edge goes on.
    """
    to_index = np.asarray(np.linalg.inv(dose.grid.affine), float)
    box = _nodes(to_index, low_mm, high_mm, moved=True)
    reach = _nodes(to_index, least_mm, most_mm, moved=False)
    # the mean's window needs a node more than its points on each side, the density two more than its shifts
    first, last = box[0] - 2, box[1] + 2
    start, stop = reach[0] - 2, reach[1] + 2
    low, high = first + start - ROOM, last + stop + ROOM
    twice = spline_of(spline_of(dose.around(low.tolist(), high.tolist())))
    twice = twice[tuple(slice(ROOM, n - ROOM) for n in twice.shape)]
    size, reach_nodes = last - first + 1, stop - start + 1
    lengths = [fft.next_fast_len(n, real=True) for n in twice.shape]
    shift_to_index = np.column_stack([to_index[:3, :3], -start.astype(float)])
    return Blur(
        dose=dose,
        spectrum=fft.rfftn(twice, lengths).astype(np.complex64),
        lengths=(lengths[0], lengths[1], lengths[2]),
        size=(int(size[0]), int(size[1]), int(size[2])),
        reach=(int(reach_nodes[0]), int(reach_nodes[1]), int(reach_nodes[2])),
        mean_to_index=_offset(to_index, first),
        shift_to_index=np.ascontiguousarray(shift_to_index),
    )


def _nodes(
    to_index: Floats, low_mm: Floats, high_mm: Floats, *, moved: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Node indices that hold a box of the patient; without `moved` the box is one of displacements."""
    corners = np.array([[(low_mm, high_mm)[bit][axis] for axis, bit in enumerate(b)] for b in np.ndindex(2, 2, 2)])
    index = corners @ to_index[:3, :3].T + (to_index[:3, 3] if moved else 0.0)
    return np.floor(index.min(axis=0)).astype(np.int64), np.ceil(index.max(axis=0)).astype(np.int64)


def _offset(to_index: Floats, first: NDArray[np.int64]) -> Floats:
    found: Floats = np.ascontiguousarray(to_index[:3]).copy()
    found[:, 3] -= first
    return found
