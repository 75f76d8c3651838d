"""run.json: what a run was begun with, and what has changed since."""

import json
from pathlib import Path

from keras_vision.training.checkpoints import checkpoints, start_from, write
from keras_vision.training.described import described


def same_as_begun(log_dir, **settings):
    """Raises ValueError where the run in the folder was begun with other settings.

    Until there is a checkpoint, nothing depends on them yet, and they may change.
    """
    path, saved = Path(log_dir) / "run.json", list(checkpoints(log_dir).values())
    now = {name: described(value) for name, value in settings.items()}
    if not path.exists() or not saved:
        write(json.dumps(now, indent=1), path)
    begun = read(path, now.keys())
    found = [change for name in now for change in changes(begun[name], now[name], name)]
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise ValueError(
            f"The run in {log_dir} was begun with {'; '.join(found[:3])}{more}: set it as it was, "
            f"or choose a new log_dir. {start_from(saved[-1])}"
        )


def read(path, names):
    """The settings in run.json, all of `names`."""
    try:
        begun = json.loads(path.read_text())
    except ValueError:
        begun = None
    if not isinstance(begun, dict):
        raise ValueError(
            f"{path} does not hold what the run was begun with: restore it. Without it the run "
            "goes on with what is set now, unchecked: delete it if you are sure of that."
        )
    missing = [name for name in names if name not in begun]
    if missing:
        raise ValueError(
            f"{path} is of another version, without {', '.join(missing)}: delete it if nothing "
            "has changed since the run was begun, or choose a new log_dir."
        )
    return begun


def changes(begun, now, path):
    """What differs between two descriptions, each as 'path=value, which is now value'.

    A key that one of them lacks counts as None: versions of Keras add some.
    """
    if begun == now:
        return
    if isinstance(begun, dict) and isinstance(now, dict) and heading(begun) == heading(now):
        for key in {**begun, **now}:
            yield from changes(begun.get(key), now.get(key), f"{path}.{key}")
    elif isinstance(begun, list) and isinstance(now, list) and len(begun) == len(now):
        for number, values in enumerate(zip(begun, now, strict=True)):
            yield from changes(*values, f"{path}.{number}")
    else:
        yield f"{path}={shown(begun)}, which is now {shown(now)}"


def heading(description):
    return description.get("class") or description.get("function")


def shown(value):
    """A description in a few words."""
    if isinstance(value, dict):
        named = value.get("class") or value.get("function") or value.get("array")
        return shown(named) if named else f"{{{', '.join(value)}}}"
    if isinstance(value, list):
        return f"{len(value)} values"
    return f"{value:.7g}" if isinstance(value, float) else f"{value}"[:60]
