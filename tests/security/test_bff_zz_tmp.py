import asyncio, time, signal, os, re
from pathlib import Path
import httpx
from local.instance import existing
from local import supervision
from tests.security.test_bff_load import load
async def test_big(world):
    world.start(sessions_per_user=1000)
    world.start(sessions_per_user=1000)
    inst = existing(Path("/tmp/bff/inst"))
    async def restart():
        await asyncio.sleep(15)
        print("stop", time.time())
        await asyncio.to_thread(supervision.stop_programs, inst, ["keycloak"])
        await asyncio.sleep(3)
        await asyncio.to_thread(supervision.start_programs, inst, ["keycloak"])
        async with httpx.AsyncClient() as c:
            while True:
                try:
                    if (await c.get(f"http://127.0.0.1:{inst.ports['keycloak_management']}/health/ready")).status_code==200: break
                except httpx.HTTPError: pass
                await asyncio.sleep(.5)
        print("up", time.time())
    seen = await load(world, size=200, seconds=60, pause_s=1.0, outage=restart)
    print("SEEN", seen)
    assert set(seen) <= {200,503}
