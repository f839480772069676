// WHEP watcher: the picture and sound of one seat, at once; comes back by itself until it is closed or refused for good.

const GATHER_MS = 1_500;
const CONNECT_MS = 10_000;
const RETRY_MIN_MS = 700;
const RETRY_MAX_MS = 6_000;
/** Packets come many times within this, also of a camera that is off. */
const LOOK_MS = 2_000;
/** The seat is gone, or this key opens it no more. */
const FINAL_STATUS = new Set([401, 403]);
/** A seat that was just taken is known to the relay within a second. */
const NOT_FOUND_TRIES = 6;

/** What comes, by how many packets have come before and by now. Pure. */
export function flowing(before, now) {
  return Object.fromEntries(["video", "audio"].map((kind) => [kind, (now[kind] ?? 0) > (before[kind] ?? 0)]));
}

/** Events: `change` — `media`, `flows` or `state` ("connecting" | "live" | "reconnecting" | "closed") is another one. */
export class Watcher extends EventTarget {
  state = "connecting";
  media = new MediaStream();
  /** Whether pictures and sound come now; undefined until that is known of a connection. */
  flows = undefined;

  #peer = undefined;
  #location = undefined;
  #attempt = 0;

  constructor(url, key) {
    super();
    this.url = url;
    this.key = key;
    this.#connect();
  }

  close() {
    this.#setState("closed");
    clearTimeout(this.retry);
    this.#hangUp();
  }

  /** Someone may be connected to a relay that has nothing of whom they watch. */
  async #look(peer, before) {
    const now = {};
    const stats = await peer.getStats().catch(() => new Map());
    for (const one of stats.values()) if (one.type === "inbound-rtp") now[one.kind] = one.packetsReceived;
    if (peer !== this.#peer) return;
    if (before) {
      const { video, audio } = flowing(before, now);
      const same = this.flows?.video === video && this.flows.audio === audio;
      this.flows = { video, audio };
      if (!same) this.dispatchEvent(new Event("change"));
    }
    this.looking = setTimeout(() => this.#look(peer, now), LOOK_MS);
  }

  async #connect() {
    this.#hangUp();
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#peer = peer;
    try {
      for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
      peer.ontrack = ({ track }) => {
        for (const old of this.media.getTracks()) if (old.kind === track.kind) this.media.removeTrack(old);
        this.media.addTrack(track);
      };
      peer.onconnectionstatechange = () => this.#changed(peer);
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.key}` },
        body: peer.localDescription.sdp,
        signal: AbortSignal.timeout(CONNECT_MS),
      });
      if (response.status !== 201) throw Object.assign(new Error(String(response.status)), { status: response.status });
      const location = response.headers.get("Location");
      if (peer !== this.#peer) return;
      this.#location = location ? new URL(location, this.url).href : undefined;
      await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    } catch (error) {
      if (peer === this.#peer) this.#failed(error);
    }
  }

  #changed(peer) {
    if (peer !== this.#peer) return;
    if (peer.connectionState === "connected") {
      this.#attempt = 0;
      this.#setState("live");
      this.flows = undefined;
      clearTimeout(this.looking);
      this.#look(peer);
    } else if (["failed", "disconnected", "closed"].includes(peer.connectionState)) {
      this.#failed(new Error(peer.connectionState));
    }
  }

  #failed({ status }) {
    if (this.state === "closed") return;
    if (FINAL_STATUS.has(status) || (status === 404 && this.#attempt >= NOT_FOUND_TRIES)) return this.close();
    this.#setState(this.state === "live" ? "reconnecting" : this.state);
    const wait = Math.min(RETRY_MIN_MS * 1.5 ** this.#attempt, RETRY_MAX_MS) * (0.7 + 0.6 * Math.random());
    this.#attempt += 1;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.#connect(), wait);
  }

  #hangUp() {
    const [peer, location] = [this.#peer, this.#location];
    this.#peer = this.#location = undefined;
    clearTimeout(this.looking);
    if (peer) peer.onconnectionstatechange = null;
    peer?.close();
    if (!location) return;
    // Best effort: a relay that is gone has no session to end.
    fetch(location, { method: "DELETE", headers: { Authorization: `Bearer ${this.key}` }, keepalive: true }).catch(() => undefined);
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(limit);
      resolve();
    });
  });
}
