"""How long a server's event loop takes to answer: asks an address at RATE_HZ over one connection and prints the seconds of each
answer as a line of JSON. A process of its own, so that nothing else delays what it measures:

    python -m tests.journeys.health_probe URL SECONDS
"""

import json
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

RATE_HZ = 20
TIMEOUT_S = 60.0


def main(url: str, seconds: str) -> None:
    address = urlsplit(url)
    connection = HTTPConnection(address.netloc, timeout=TIMEOUT_S)
    end, took = time.perf_counter() + float(seconds), list[float]()
    while (began := time.perf_counter()) < end:
        connection.request("GET", address.path)
        connection.getresponse().read()
        took.append(time.perf_counter() - began)
        time.sleep(max(0.0, 1 / RATE_HZ - took[-1]))
    sys.stdout.write(json.dumps(took) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
