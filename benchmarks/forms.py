"""Labelled sets in other forms, which tell a better detector from a lucky one: -m benchmarks.forms --data A --out B.

Reads ``manifest.json`` and ``<dataset>/<name>.npz`` (``timestamps``, ``values``, ``label``, ``warm``: the first column
that is judged) below A and writes the same below B once for each form: some of the warm-up cut off, the values' square
root, their power of 1.5, a little noise, and means over longer steps. A change that is better on the set as it is and
not in the mean of its forms was luck.
"""

import argparse
import json
from pathlib import Path

import numpy as np

LABELLED = 0.3
"""A mean over a longer step is in an incident where this share of its samples is."""


def cut(share):
    """The first ``share`` of the warm-up never seen."""

    def form(times, values, label, warm):
        begin = max(1, int(warm * share))
        return times[begin:], values[begin:], label[begin:], warm - begin

    return form


def bent(power):
    """The values above the least one, to a ``power``."""
    return lambda times, values, label, warm: (times, (values - values.min()) ** power, label, warm)


def noisy(times, values, label, warm):
    """Gaussian noise of 0.3 of the median change; the same in each run."""
    changes = np.abs(np.diff(values))
    size = 0.3 * np.median(changes[changes > 0]) if changes.any() else 0.0
    return times, values + np.random.default_rng(len(values)).normal(0.0, 1.0, len(values)) * size, label, warm


def averaged(step_s):
    """Means over ``step_s`` seconds; None where the series is not finer than that."""

    def form(times, values, label, warm):
        if np.median(np.diff(times)) >= step_s:
            return None
        cell = ((times - times[0]) // step_s).astype(int)
        there = np.isfinite(values) & (cell < cell[-1])
        count, total, odd = (np.bincount(cell[there], part[there]) for part in (np.ones(len(values)), values, label))
        seen = count > 0
        starts = times[0] + np.arange(len(count)) * float(step_s)
        begin = int((starts[seen] < times[warm]).sum())
        return starts[seen], total[seen] / count[seen], (odd[seen] / count[seen] >= LABELLED).astype(int), begin

    return form


FORMS = {
    "cut-5": cut(0.05),
    "cut-20": cut(0.2),
    "root": bent(0.5),
    "power": bent(1.5),
    "noise": noisy,
    "5-min": averaged(300),
    "15-min": averaged(900),
    "30-min": averaged(1800),
    "60-min": averaged(3600),
}


def main(argv=None):
    """Write every form and say how many series it has; exit status 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="a folder with manifest.json")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write a folder for each form to")
    args = parser.parse_args(argv)
    manifest = json.loads((args.data / "manifest.json").read_text())
    for name, form in FORMS.items():
        kept = []
        (args.out / name).mkdir(parents=True, exist_ok=True)
        for entry in manifest:
            path = Path(entry["dataset"], f"{entry['name']}.npz")
            with np.load(args.data / path) as file:
                parts = file["timestamps"].astype(float), file["values"].astype(float), file["label"], int(file["warm"])
            made = form(*parts)
            if made is None:
                continue
            times, values, label, warm = made
            target = args.out / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            np.savez(target, timestamps=times, values=values, label=label, warm=warm)
            kept.append(entry | {"step": float(np.median(np.diff(times)))})
        (args.out / name / "manifest.json").write_text(json.dumps(kept))
        print(f"{name:8}{len(kept):4} of {len(manifest)} series", flush=True)


if __name__ == "__main__":
    main()
