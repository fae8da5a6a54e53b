"""Radiotherapy target margins that are right in millimetres, and what motion costs them.

A mask is turned once into a region: a signed distance whose zero level is a surface between the voxels. Margins, unions
and limits work on regions; only the way out samples them.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
