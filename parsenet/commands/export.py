"""`parsenet export`: a checkpoint as a file for other runtimes."""

import sys

from parsenet.export.config import ExportConfig


def export(options: ExportConfig) -> int:
    """Run the command; return its exit code."""
    from parsenet.export.run import export as write

    if options.images is None:
        hint = "Checking on drawn images: photographs are a better test, `--images DIR`."
        print(hint, file=sys.stderr)
    done = write(options)
    print(f"Against the checkpoint in float32, on {done.checked}:")
    width = max(len(x.what) for x in done.agreements)
    for x in done.agreements:
        print(
            f"  {x.what:{width}}  {100 * x.share:8.4f} % of {x.pixels:,} labels equal, scores "
            f"within {x.difference:.2g}"
        )
    if done.losses is not None:
        before, after = done.losses["checkpoint"], done.losses["file"]
        print(
            f"Mean IoU on {done.losses['images']:.0f} labelled images: {100 * before:.2f} by "
            f"the checkpoint, {100 * after:.2f} by the file ({100 * (after - before):+.2f})."
        )
    size = done.path.stat().st_size / 1e6
    print(f"Written: {done.path} ({size:.1f} MB) and its card {done.path.name}.md.")
    return 0
