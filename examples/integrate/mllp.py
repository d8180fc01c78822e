#!/usr/bin/env python3
"""HL7 over MLLP with sockets alone: sends a message as a RIS does, or receives as one.

    python3 mllp.py send 127.0.0.1:2575 order.hl7
    python3 mllp.py listen 127.0.0.1:2576 received.hl7 1
"""

import datetime
import os
import socket
import sys
import time
import uuid

START, END = b"\x0b", b"\x1c\r"
PATIENCE = 10  # seconds for the connection, and for the answer
TRIES = 3


def field(message, segment, number):
    """A field as it stands in the message; in MSH the separator itself is number 1."""
    separator = message[3:4]
    for line in message.split(b"\r"):
        if line.startswith(segment + separator):
            fields = line.split(separator)
            number -= segment == b"MSH"
            return fields[number] if number < len(fields) else b""
    return b""


def frames(stream):
    """The messages of a connection. One read can bring half a frame, or three."""
    buffer = b""
    while True:
        start = buffer.find(START)
        end = buffer.find(END, start + 1)
        if start >= 0 and end >= 0:
            yield buffer[start + 1 : end]
            buffer = buffer[end + 2 :]
            continue
        piece = stream.recv(65536)
        if not piece:
            return
        buffer += piece


def exchange(address, message):
    """Sends a message on a connection of its own and returns its acknowledgement."""
    with socket.create_connection(address, timeout=PATIENCE) as stream:
        stream.sendall(START + message + END)
        answer = next(frames(stream), None)
    if answer is None:
        raise OSError("the connection was closed before the answer")
    # The answer to another message says nothing about this one.
    if field(answer, b"MSA", 2) != field(message, b"MSH", 10):
        raise OSError("the answer is for another message")
    return answer


def send(address, path):
    with open(path, "rb") as file:
        # Files have line feeds, the wire has carriage returns.
        lines = file.read().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    message = lines.strip(b"\r") + b"\r"
    for attempt in range(1, TRIES + 1):
        try:
            answer = exchange(address, message)
            break
        except OSError as error:
            # Whether the broker has it is not known. The same bytes again do no harm.
            print(f"try {attempt} of {TRIES}: {error}", file=sys.stderr)
            time.sleep(attempt)
    else:
        sys.exit("no answer; send the same file again later")
    code, text = field(answer, b"MSA", 1).decode(), field(answer, b"MSA", 3).decode()
    print(code, text)
    sys.exit(0 if code == "AA" else 1)


def acknowledgement(message, code, text):
    separator = message[3:4]
    header = [
        b"MSH" + separator + message[4:8],
        field(message, b"MSH", 5),
        field(message, b"MSH", 6),
        field(message, b"MSH", 3),
        field(message, b"MSH", 4),
        datetime.datetime.now().strftime("%Y%m%d%H%M%S").encode(),
        b"",
        b"ACK",
        uuid.uuid4().hex[:20].encode(),
        b"P",
        b"2.3",
    ]
    answer = [b"MSA", code, field(message, b"MSH", 10), text]
    return separator.join(header) + b"\r" + separator.join(answer) + b"\r"


def listen(address, path, count):
    with socket.create_server(address) as server, open(path, "ab") as file:
        while count:
            stream, _ = server.accept()
            with stream:
                for message in frames(stream):
                    # On the disk first, then AA: the sender forgets the message from there on.
                    file.write(message.replace(b"\r", b"\n") + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    stream.sendall(START + acknowledgement(message, b"AA", b"Received.") + END)
                    print(field(message, b"MSH", 9).decode(), field(message, b"OBX", 11).decode())
                    count -= 1
                    if not count:
                        break


if __name__ == "__main__":
    what, (host, _, port) = sys.argv[1], sys.argv[2].rpartition(":")
    if what == "send":
        send((host, int(port)), sys.argv[3])
    else:
        listen((host, int(port)), sys.argv[3], int(sys.argv[4]))
