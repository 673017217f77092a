"""Keep the rejected rows of a job that failed without any training rows."""

import shutil

from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing.reading import files


def keep_rejected(partial: str, output: str) -> str | None:
    """Copies the rejected rows of an output that will not be kept to `<output>.rejected`.

    Args:
        partial: where the job has written.
        output: where it would have been put.

    Returns:
        The folder; `None` where no row was rejected, or the folder holds something else that would be lost.
    """
    found = sorted(files.match([files.join(partial, PreparedFolder.REJECTED, "*")]))
    target = output.rstrip("/") + ".rejected"
    present = files.match([f"{files.literal(target)}/*"])
    if not found or not all(PreparedFolder.is_rejected_file(path.rpartition("/")[2]) for path in present):
        return None
    files.delete(present)
    for path in found:
        with files.open_file(path) as source, files.create(files.join(target, path.rpartition("/")[2])) as kept:
            shutil.copyfileobj(source, kept)
    return target
