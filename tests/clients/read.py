"""Reads COUNT events of URL with a Python client and prints each as [event, id, data]."""

import json
import sys

library, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def httpx_sse():
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(timeout=60) as client, connect_sse(client, "GET", url) as source:
        for event in source.iter_sse():
            yield event.event, event.id, event.data


def sseclient_py():
    import requests
    import sseclient

    with requests.get(url, stream=True, timeout=60) as response:
        for event in sseclient.SSEClient(response).events():
            yield event.event, event.id, event.data


events = {"httpx-sse": httpx_sse, "sseclient-py": sseclient_py}[library]()
for _ in range(count):
    print(json.dumps(next(events)), flush=True)
