"""Keep the rejected rows of a job that failed without any training rows."""

import re
import shutil

from tfmtl.preprocessing.reading import files

_OWN_FILE = re.compile(r"file-\d+\.jsonl")


def keep_rejected(partial: str, output: str) -> str | None:
    """Copies the rejected rows of an output that will not be kept to `<output>.rejected`.

    Args:
        partial: where the job has written.
        output: where it would have been put.

    Returns:
        The folder; `None` where no row was rejected, or the folder holds something else that would be lost.
    """
    found = sorted(files.match([files.join(partial, "rejected", "*")]))
    target = output.rstrip("/") + ".rejected"
    present = files.match([f"{files.literal(target)}/*"])
    if not found or not all(_OWN_FILE.fullmatch(path.rpartition("/")[2]) for path in present):
        return None
    files.delete(present)
    for path in found:
        with files.open_file(path) as source, files.create(files.join(target, path.rpartition("/")[2])) as kept:
            shutil.copyfileobj(source, kept)
    return target
