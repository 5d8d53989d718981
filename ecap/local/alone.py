"""One service in this process, for a debugger: `python -m ecap.local.alone catalog --port 8100`.

Without Ray: it uses the servers of the `ecap up` that runs here, and what it would ask of
actors (rate limits, fraud decisions, live configuration) it does without, as its replicas
do while those are away.
"""

from __future__ import annotations

import argparse
from typing import get_args

import uvicorn

from ecap.config import load
from ecap.config.settings.services.deployments import ServiceName
from ecap.local.process.ports import LOOPBACK
from ecap.local.state.running import environ_here
from ecap.runtime.services import service_of
from ecap.serve.replica.replica import build


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ecap.local.alone")
    parser.add_argument("service", choices=get_args(ServiceName))
    parser.add_argument("--port", type=int, default=8100)
    chosen = parser.parse_args()
    edge = build(*service_of(chosen.service), load(environ_here()))
    uvicorn.run(edge, host=LOOPBACK, port=chosen.port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
