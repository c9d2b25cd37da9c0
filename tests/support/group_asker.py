"""``python -m tests.support.group_asker GROUP``: ask about a group over and over until standard input ends, and print each time that it began or ceased to be answered."""

from __future__ import annotations

import sys
import threading
import time

from confluent_kafka import KafkaException

from cli.broker import Broker
from cli.status.settings import StatusSettings
from schemas.keys import CRM_TOPIC
from service_kit.settings import load

ANSWERED, UNANSWERED = "answered", "unanswered"
TIMEOUT_S = 2.0
PAUSE_S = 0.2


def main(group: str) -> None:
    broker, said = Broker(load(StatusSettings).kafka, TIMEOUT_S), ""
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
    while not enough.is_set():
        now = _ask(broker, group)
        if now != said:
            print(now, flush=True)
        said = now
        time.sleep(PAUSE_S)


def _ask(broker: Broker, group: str) -> str:
    try:
        broker.committed(group, CRM_TOPIC, [0])
        broker.group(group)
    except KafkaException as error:
        return f"{UNANSWERED}: {error}"
    return ANSWERED


if __name__ == "__main__":
    main(sys.argv[1])
