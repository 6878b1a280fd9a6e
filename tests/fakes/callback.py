"""A callback of a user's own."""

import pytorch_lightning as pl


class Count(pl.Callback):
    """Does nothing."""
