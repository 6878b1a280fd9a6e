"""Short videos of plain grey frames, whose values survive a codec."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

GREYS = (20, 60, 100, 140, 180, 220, 40)


def write_video(path: Path, frames: Sequence[np.ndarray] | None = None, rate: float = 10) -> Path:
    """Write RGB frames as MP4, by default one of each of `GREYS`, 48 x 32 pixels."""
    if frames is None:
        frames = [np.full((32, 48, 3), grey, np.uint8) for grey in GREYS]
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    return path
