"""A clock for what is tested: it goes when a test moves it."""


class Clock:
    """Tells `now`, in seconds, as `time.time` and `time.monotonic` do."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
