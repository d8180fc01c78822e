#!/usr/bin/env python3
"""Orders a CT by JSON, looks it up, and hands in its report, with the standard library alone.

    BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... python3 orders.py
"""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid

BROKER = os.environ.get("BROKER", "http://127.0.0.1:3000")
KEY = os.environ.get("BROKER_KEY")


def call(method, path, body=None, headers=None):
    """One request; an error of the broker is shown with everything that is wrong."""
    request = urllib.request.Request(BROKER + path, method=method)
    request.add_header("Accept", "application/json")
    if KEY:
        request.add_header("x-api-key", KEY)
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        body = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, body, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        for place in problem.get("hl7", []):
            print(f"{place['path'] or place.get('jsonPointer')}: {place['message']}", file=sys.stderr)
        sys.exit(f"{problem['status']} {problem['error']}")


order = {
    "order": {
        "patient": {"id": "PAT-PY", "name": "MEIER, ANNA", "gender": "F", "dateOfBirth": "19700402"},
        "study": {"description": "CT CHEST", "priority": "ROUTINE"},
    }
}
# The same key again gives the same answer again: a time-out is no reason to order twice.
made = call("POST", "/api/orders", order, {"Idempotency-Key": str(uuid.uuid4())})
number = made["order"]["accessionNumber"]
print(f"{number} {made['ack']['code']} {made['ack']['text']}")

known = call("GET", f"/api/v1/orders/{number}")
print(f"{known['accessionNumber']} {known['status']} {known['study']['modality']}")

report = {"status": "final", "report": {"content": "Normal study.\nLungs are clear."}}
done = call("POST", f"/api/v1/orders/{number}/status", report)
print(f"{number} {done['outcome']} {done['reportStatus']}")
