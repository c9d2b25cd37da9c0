"""The live part of the model, pure: which readings are made in a tick, and which of them are uploaded now or wait on an offline device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from simulator.devices import DayPlan, Device, Reading, live_reading, plan_day

OFFLINE_CHANCE_PER_MINUTE = 0.02
OFFLINE_S = (20.0, 180.0)
MAX_BUFFERED = 20_000  # readings on all offline devices together; beyond it devices come back online


@dataclass
class LiveDevices:
    """The devices and what some of them hold back. ``tick`` is the only thing that changes it."""

    rng: Random
    devices: Sequence[Device] = ()
    offline_until: dict[int, datetime] = field(default_factory=dict)
    buffered: list[Reading] = field(default_factory=list)
    _owed: float = 0.0

    def tick(self, now: datetime, elapsed_s: float, rate: float) -> list[Reading]:
        """The readings to upload at *now*: *rate* a second, spread over the devices whose wearers are awake, plus what comes back from offline.

        Readings carry microsecond times within the *elapsed_s* seconds before *now*. Nobody awake: nothing new.
        """
        uploads = self._come_back(now)
        awake = [plan for device in self.devices if (plan := plan_of(device, now)).awake(now)]
        if not awake:
            return uploads
        self._go_offline(awake, now, elapsed_s)
        self._owed += rate * elapsed_s
        count, self._owed = int(self._owed), self._owed % 1
        for _ in range(count):
            moment = now - timedelta(microseconds=self.rng.randrange(max(1, round(elapsed_s * 1e6))))
            reading = live_reading(self.rng.choice(awake), moment, self.rng)
            (self.buffered if reading.prosthesis_id in self.offline_until else uploads).append(reading)
        return uploads

    def flush(self) -> list[Reading]:
        """Everything held back; every device is online afterwards."""
        held, self.buffered = self.buffered, []
        self.offline_until.clear()
        return held

    def _come_back(self, now: datetime) -> list[Reading]:
        if len(self.buffered) >= MAX_BUFFERED:
            return self.flush()
        back = {prosthesis for prosthesis, until in self.offline_until.items() if until <= now}
        if not back:
            return []
        for prosthesis in back:
            del self.offline_until[prosthesis]
        uploads = [reading for reading in self.buffered if reading.prosthesis_id in back]
        self.buffered = [reading for reading in self.buffered if reading.prosthesis_id not in back]
        return uploads

    def _go_offline(self, awake: Sequence[DayPlan], now: datetime, elapsed_s: float) -> None:
        for plan in awake:
            prosthesis = plan.device.prosthesis_id
            if prosthesis not in self.offline_until and self.rng.random() < OFFLINE_CHANCE_PER_MINUTE * elapsed_s / 60:
                self.offline_until[prosthesis] = now + timedelta(seconds=self.rng.uniform(*OFFLINE_S))


def plan_of(device: Device, now: datetime) -> DayPlan:
    """The plan of the local day that *now* is in for *device*."""
    return plan_day(device, now.astimezone(ZoneInfo(device.timezone)).date())
