#!/usr/bin/env python3
"""Runs the examples in an exported model and compares what comes out; needs onnxruntime.

usage: NAME_self_test.py [NAME.onnx]       without a model: the one that lies beside this file
"""

import json
import sys

import numpy
import onnxruntime


def episode(session, given, memory):
    """Runs the examples one after another, each with the memory that the one before it left."""
    memory, rows = numpy.zeros((1, memory), numpy.float32), []
    for i in range(len(given["observation"])):
        one = {name: table[i : i + 1] for name, table in given.items()}
        *row, memory = session.run(["params", "action", "next_memory"], {**one, "memory": memory})
        rows.append(row)
    return [numpy.concatenate(column) for column in zip(*rows)]


def main(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    examples = json.loads(session.get_modelmeta().custom_metadata_map["examples"])
    widths = {i.name: i.shape[1] for i in session.get_inputs()}
    given = {"observation": numpy.array([e["observation"] for e in examples], numpy.float32)}
    if "mask" in widths:
        given["mask"] = numpy.ones((len(examples), widths["mask"]), bool)
    if "memory" in widths:
        params, action = episode(session, given, widths["memory"])
    else:
        params, action = session.run(["params", "action"], given)
    expected = [numpy.array([e[key] for e in examples], numpy.float32) for key in ("params", "action")]
    close = numpy.allclose(params, expected[0], rtol=1e-5, atol=1e-5)
    same = numpy.allclose(action, expected[1], rtol=1e-5, atol=1e-5)
    print(f"{len(examples)} examples: {'passed' if close and same else 'FAILED'}")
    return 0 if close and same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else __file__.removesuffix("_self_test.py") + ".onnx"))
