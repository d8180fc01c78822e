#!/usr/bin/env python3
"""Prints the events of orders and reports, and goes on where it stopped the last time.

    BROKER=http://127.0.0.1:3000 BROKER_KEY=msk_... python3 events.py last-id.txt 3

The file keeps the id of the last event that was dealt with: what happens while this program is
away, or while the link is broken, comes later and nothing comes twice. The number, if given, ends
the program after so many events.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

BROKER = os.environ.get("BROKER", "http://127.0.0.1:3000")
KEY = os.environ.get("BROKER_KEY")
TYPES = "order.*,report.*"


def stream(last):
    """One connection: the events after this id. A comment comes every 15 seconds at the least."""
    request = urllib.request.Request(f"{BROKER}/api/v1/events?types={TYPES}")
    request.add_header("Last-Event-ID", last)
    if KEY:
        request.add_header("x-api-key", KEY)
    with urllib.request.urlopen(request, timeout=40) as answer:
        event = {}
        for line in answer:
            line = line.decode().rstrip("\r\n")
            name, _, value = line.partition(":")
            if name:
                event[name] = value.strip()
            elif line == "":
                if "data" in event:
                    yield event
                event = {}


def deal_with(event):
    """What your program does with an event: here it prints it."""
    print(event["type"], event["accessionNumber"], flush=True)


def main(path, count=None):
    last = "0"  # from the beginning of the log
    if os.path.exists(path):
        with open(path) as file:
            last = file.read().strip()
    left = int(count or 0)
    while True:
        try:
            for event in stream(last):
                # `lagged`: we were too slow and are told from where to go on.
                lagged = event["event"] == "lagged"
                if not lagged:
                    deal_with(json.loads(event["data"]))
                last = event["id"]
                with open(path + ".new", "w") as file:
                    file.write(last)
                os.replace(path + ".new", path)
                left -= not lagged
                if left == 0:
                    return
        except urllib.error.HTTPError as error:
            sys.exit(f"{error.code} {json.load(error)['error']}")
        except OSError as error:
            print(f"again in 2 s: {error}", file=sys.stderr)
        time.sleep(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
