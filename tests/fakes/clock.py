"""A clock that stands still until a test moves it."""


class ManualClock:
    """See Clock."""

    def __init__(self, now):
        self._now = now

    def now(self):
        """See Clock.now."""
        return self._now

    def move(self, step):
        """Lets time pass, or run backwards."""
        self._now += step
