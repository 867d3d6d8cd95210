#!/usr/bin/env python3
"""Compares a run's metrics.jsonl with what TensorBoard reads from its event files.

    python3 -m venv venv
    venv/bin/pip install tensorboard==2.21.0
    venv/bin/python testdata/read_tensorboard.py RUN_DIR [--expect KIND,...]

Tested with tensorboard 2.21.0 on Python 3.11. Older ones that import
pkg_resources need 'setuptools<81' beside them.

Scalars and texts must be the same in both: tags, steps, order and values, a
scalar being the f32 nearest to the f64 of metrics.jsonl. Histograms, images and
hyperparameters are only in the event files; those found are checked for sense,
and those named by --expect (histograms, images, hparams, text) must be found.
Prints one line; the exit code is 1 if anything differs.
"""

import argparse
import collections
import json
import math
import pathlib
import struct
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

EVERYTHING = {
    kind: 0
    for kind in ["scalars", "tensors", "histograms", "images", "compressedHistograms", "audio"]
}
KINDS = ["histograms", "images", "hparams", "text"]


def read_lines(path):
    """The scalars and texts of metrics.jsonl: tag -> [(step, value)]."""
    scalars, texts = collections.defaultdict(list), collections.defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "text" in entry:
            texts[entry["tag"]].append((entry["step"], entry["text"]))
        else:
            # float() takes "NaN", "Infinity" and "-Infinity" as well.
            scalars[entry["tag"]].append((entry["step"], float(entry["value"])))
    return scalars, texts


def plugin_content(events, plugin):
    try:
        return events.PluginTagToContent(plugin)
    except KeyError:
        return {}


def same_f32(ours, theirs):
    with np.errstate(over="ignore"):
        ours, theirs = np.float32(ours), np.float32(theirs)
    # Bits, so that -0.0 is not 0.0; any NaN is as good as another.
    return ours.tobytes() == theirs.tobytes() or (math.isnan(ours) and math.isnan(theirs))


def compare(kind, lines, events, same):
    """What differs between two {tag: [(step, value)]}, as sentences."""
    for tag in sorted(lines.keys() ^ events.keys()):
        place = "metrics.jsonl" if tag in lines else "the event files"
        yield f"{kind} {tag} is only in {place}"
    for tag in sorted(lines.keys() & events.keys()):
        # By step: several writers of one directory mix their lines.
        ours = sorted(lines[tag], key=lambda entry: entry[0])
        theirs = sorted(events[tag], key=lambda entry: entry[0])
        if len(ours) != len(theirs):
            yield f"{kind} {tag}: {len(ours)} in metrics.jsonl, {len(theirs)} in the event files"
            continue
        for (step, value), (their_step, their_value) in zip(ours, theirs):
            if step != their_step or not same(value, their_value):
                yield f"{kind} {tag}: {step}: {value!r} became {their_step}: {their_value!r}"


def check_histogram(tag, value):
    if value.num <= 0 or sum(value.bucket) != value.num:
        yield f"histogram {tag}: its buckets hold {sum(value.bucket)} of {value.num} values"
    if len(value.bucket) != len(value.bucket_limit):
        yield f"histogram {tag}: {len(value.bucket)} buckets, {len(value.bucket_limit)} limits"
    if list(value.bucket_limit) != sorted(value.bucket_limit):
        yield f"histogram {tag}: its limits are out of order"
    if not value.min <= value.sum / value.num <= value.max:
        yield f"histogram {tag}: its mean is not between {value.min} and {value.max}"


def check_image(tag, value):
    data = value.encoded_image_string
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        yield f"image {tag}: not a PNG"
    elif struct.unpack(">II", data[16:24]) != (value.width, value.height):
        yield f"image {tag}: its PNG is not {value.width} x {value.height}"


def check_hparams(content, scalars):
    def data(name):
        return plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/" + name])

    missing = {"experiment", "session_start_info", "session_end_info"}
    missing -= {tag.removeprefix("_hparams_/") for tag in content}
    if missing:
        yield f"hparams: no {', '.join(sorted(missing))}"
        return
    named = {info.name for info in data("experiment").experiment.hparam_infos}
    given = set(data("session_start_info").session_start_info.hparams)
    if named != given:
        yield f"hparams: the experiment names {sorted(named)}, the session has {sorted(given)}"
    for info in data("experiment").experiment.metric_infos:
        if info.name.tag not in scalars:
            yield f"hparams: the metric {info.name.tag} is no scalar"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_dir", type=pathlib.Path)
    parser.add_argument("--expect", default="", help="kinds that must be there: " + ",".join(KINDS))
    arguments = parser.parse_args()
    expected = set(filter(None, arguments.expect.split(",")))
    if not expected <= set(KINDS):
        parser.error(f"--expect takes {', '.join(KINDS)}; got {arguments.expect}")

    scalars, texts = read_lines(arguments.run_dir / "metrics.jsonl")
    events = EventAccumulator(str(arguments.run_dir), size_guidance=EVERYTHING)
    events.Reload()
    tags = events.Tags()
    hparams = plugin_content(events, "hparams")
    event_scalars = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in tags["scalars"]
    }
    event_texts = {
        tag: [
            (event.step, tensor_util.make_ndarray(event.tensor_proto).item().decode("utf-8"))
            for event in events.Tensors(tag)
        ]
        for tag in plugin_content(events, "text")
    }
    histograms = [(tag, event) for tag in tags["histograms"] for event in events.Histograms(tag)]
    images = [(tag, event) for tag in tags["images"] for event in events.Images(tag)]

    differences = list(compare("scalar", scalars, event_scalars, same_f32))
    differences += compare("text", texts, event_texts, lambda ours, theirs: ours == theirs)
    for tag, event in histograms:
        differences += check_histogram(tag, event.histogram_value)
    for tag, event in images:
        differences += check_image(tag, event)
    if hparams:
        differences += check_hparams(hparams, event_scalars)
    found = {
        "histograms": len(histograms),
        "images": len(images),
        "hparams": len(hparams),
        "text": sum(map(len, texts.values())),
    }
    differences += [f"expected {kind}, found none" for kind in sorted(expected) if not found[kind]]

    for difference in differences[:20]:
        print(difference, file=sys.stderr)
    values = sum(map(len, scalars.values()))
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.items())
    verdict = f"{len(differences)} differences" if differences else "all as in metrics.jsonl"
    print(f"{arguments.run_dir}: {len(scalars)} scalar tags, {values} values, {kinds}: {verdict}")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
