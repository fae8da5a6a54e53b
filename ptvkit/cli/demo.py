"""`ptvkit demo`: the whole chain on the built-in phantom."""


def demo() -> None:
    """Run the whole chain on a built-in liver phantom."""
