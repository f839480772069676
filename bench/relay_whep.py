"""How old is the picture that a guest sees? Test source → relay → WHEP in Chromium, beside LL-HLS in the same run.

`python -m bench.relay_whep [seconds]` reads the bar code of each picture as it is shown, for that time each way
(default 30), after 5 s to settle. The other host of a match is published at another task, and nothing is composed.
Exits with 1 when p95 by WHEP is over 300 ms either way.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from aiohttp import web
from playwright.async_api import async_playwright

from bench import glass_to_glass
from tests.relay.cluster import Cluster
from tests.relay.stack import Stack, fetch, free_port, seat_key, stream_key, until

_CHROMIUM = "/usr/bin/chromium"
_SETTLE_S = 5
_LIMIT_P95_MS = 300
_PAGE = """<!doctype html><video id=v muted autoplay playsinline width=640></video><script>
const video = document.getElementById('v');
const seen = window.seen = {delays: [], first: 0, state: '', frozen: 0};
const asked = new URLSearchParams(location.search);
const canvas = document.createElement('canvas'); canvas.width = 1280; canvas.height = 80;
const pen = canvas.getContext('2d', {willReadFrequently: true});
let opened = 0, last = 0;
function shown() {
  if (!seen.first) seen.first = performance.now() - opened;
  if (last) seen.frozen = Math.max(seen.frozen, performance.now() - last);
  last = performance.now();
  pen.drawImage(video, 0, 0, 1280, 80, 0, 0, 1280, 80);
  const pixels = pen.getImageData(0, 40, 1280, 1).data;
  let told = 0;
  for (let bar = 0; bar < 32; bar++) {
    const at = 4 * (bar * 40 + 20);
    told = told * 2 + (pixels[at] + pixels[at + 1] + pixels[at + 2] > 384 ? 1 : 0);
  }
  const delay = Date.now() % 4294967296 - told;
  if (delay > 0 && delay < 60000) seen.delays.push(delay);
  video.requestVideoFrameCallback(shown);
}
video.requestVideoFrameCallback(shown);
(async () => {
  opened = performance.now();
  const peer = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  const media = new MediaStream();
  video.srcObject = media;
  for (const kind of ['video', 'audio']) peer.addTransceiver(kind, {direction: 'recvonly'});
  peer.ontrack = ({track}) => media.addTrack(track);
  peer.onconnectionstatechange = () => { seen.state = peer.connectionState; };
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(asked.get('url'), {
    method: 'POST', body: peer.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', Authorization: 'Bearer ' + asked.get('key')},
  });
  await peer.setRemoteDescription({type: 'answer', sdp: await answer.text()});
})();
</script>"""


async def watch(url: str, key: str, seconds: int) -> dict[str, Any]:
    """Watch by WHEP in Chromium; returns what the page saw after it settled."""
    app = web.Application()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app.add_routes([web.get("/", page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    # A guest has allowed the camera, and so tells its addresses; this page has none.
    addresses = "--disable-features=WebRtcHideLocalIpsWithMdns"
    flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", addresses]
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=flags)
            tab = await browser.new_page()
            await tab.goto(f"http://127.0.0.1:{port}/?url={url}&key={key}")
            await tab.wait_for_function("seen.delays.length > 0", timeout=60_000)
            await asyncio.sleep(_SETTLE_S)
            await tab.evaluate("() => { seen.delays.length = 0; seen.frozen = 0 }")
            await asyncio.sleep(seconds)
            seen: dict[str, Any] = await tab.evaluate("() => seen")
            await browser.close()
            return seen
    finally:
        await runner.cleanup()


def _row(name: str, seen: dict[str, Any]) -> tuple[str, int]:
    delays = sorted(seen["delays"])
    p50, p95 = delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
    first = f"{seen['first']:.0f} ms"
    return f"| {name} | {len(delays)} | {p50} ms | {p95} ms | {delays[-1]} ms | {first} |", p95


def _match(seconds: int) -> dict[str, Any]:
    """One host of a match watches the other one, who is on another task."""
    with Cluster(2, COMPOSE_MAX="0") as cluster:
        mine, theirs = "mine", "theirs"
        cluster.put_stream(mine, match=theirs)
        cluster.put_stream(theirs, match=mine)
        for stream_id, task in zip((mine, theirs), list(cluster.tasks.values()), strict=True):
            cluster.start_source_at(task, stream_id)
            until(lambda task=task, one=stream_id: task.live(one).status == 200, 60, f"{stream_id} is on air")
        return asyncio.run(watch(f"{cluster.relay_url}/whep/{mine}/match", stream_key(mine), seconds))


def main() -> int:
    """Entry point; the exit code says whether the limit was kept."""
    parser = argparse.ArgumentParser(description="Measure how late a guest sees the host.")
    parser.add_argument("seconds", nargs="?", type=int, default=30)
    seconds = parser.parse_args().seconds
    with Stack() as stack:
        stack.put_stream("bench", seats=("guest",))
        stack.start_source("bench")
        until(lambda: fetch(stack.live_url("bench")).status == 200, 60, "on air")
        url = f"{stack.relay_url}/whep/bench/host"
        by_whep, p95 = _row("WHEP", asyncio.run(watch(url, seat_key("bench", "guest"), seconds)))
        by_hls, _ = _row("LL-HLS", asyncio.run(glass_to_glass.watch(stack.live_url("bench"), seconds)))
    of_match, match_p95 = _row("WHEP of a match's rival on another task", _match(seconds))
    print(f"{seconds} s each in Chromium, 720p30:\n")
    print("| way | readings | p50 | p95 | max | first picture |\n|---|---|---|---|---|---|")
    print(f"{by_whep}\n{by_hls}\n{of_match}")
    return 0 if max(p95, match_p95) <= _LIMIT_P95_MS else 1


if __name__ == "__main__":
    sys.exit(main())
