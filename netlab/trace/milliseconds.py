"""How long something took in milliseconds: alike in a trace that is told, and one that is saved."""


def milliseconds(seconds: float) -> float:
    """To a microsecond, as they are saved."""
    return round(seconds * 1000, 3)


def in_words(seconds: float) -> str:
    """`1.6 ms`: of what was saved as of what was measured."""
    return f"{milliseconds(seconds):.1f} ms"
