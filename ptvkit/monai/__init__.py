"""MONAI transforms, `ExpandTarget` and `ExpandTargetd`; the module can be imported without MONAI, they cannot."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptvkit.monai.transforms import ExpandTarget as ExpandTarget
    from ptvkit.monai.transforms import ExpandTargetd as ExpandTargetd

__all__ = ["ExpandTarget", "ExpandTargetd"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from ptvkit.monai import transforms
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("monai", "torch"):
            raise
        from ptvkit.errors import FileError

        message = f'{name} needs MONAI; install it with  pip install "ptvkit[monai]"'
        raise FileError(message) from None
    return getattr(transforms, name)


def __dir__() -> list[str]:
    return __all__
