#!/usr/bin/env python3
"""Runs the examples in an exported model and compares what comes out; needs onnxruntime.

usage: self_test.py MODEL.onnx
"""

import json
import sys

import numpy
import onnxruntime


def main(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    examples = json.loads(session.get_modelmeta().custom_metadata_map["examples"])
    given = {"observation": numpy.array([e["observation"] for e in examples], numpy.float32)}
    for name in [i.name for i in session.get_inputs() if i.name == "mask"]:
        choices = session.get_inputs()[1].shape[1]
        given[name] = numpy.ones((len(examples), choices), bool)
    params, action = session.run(["params", "action"], given)
    expected = [numpy.array([e[key] for e in examples], numpy.float32) for key in ("params", "action")]
    close = numpy.allclose(params, expected[0], rtol=1e-5, atol=1e-5)
    same = numpy.allclose(action, expected[1], rtol=1e-5, atol=1e-5)
    print(f"{len(examples)} examples: {'passed' if close and same else 'FAILED'}")
    return 0 if close and same else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
