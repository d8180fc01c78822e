"""A server that stores nothing, with the python package hl7."""

import asyncio
import sys

from hl7.mllp import start_hl7_server


async def serve(reader, writer):
    try:
        while not writer.is_closing():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    async with await start_hl7_server(serve, host="127.0.0.1", port=int(sys.argv[1])) as server:
        print("listening", flush=True)
        await server.serve_forever()


asyncio.run(main())
