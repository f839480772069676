// WHIP publisher (RFC 9725): sends camera and microphone to the relay, prefers H.264, tells its health, and comes back
// by itself when the network goes away: by an ICE restart where the session can go on, else by a new session.
import { gathered, restartIce } from "./ice_restart.js";

const BITRATE_MAX = 2_500_000;
const FRAMERATE_MAX = 30;
const CONNECT_MS = 10_000;
/** ICE says "disconnected" for short dips too. After this long it is restarted. */
const DIP_MS = 2_000;
/** A restart that has not brought the connection back by then will not: a new session may. */
const RESTART_MS = 5_000;
/** Several events tell of one change of networks. */
const RESTART_APART_MS = 1_500;
/** The relay reports each track about once a second. After this long without a packet from it, it is asked for. */
const SILENT_MS = 2_000;
const LISTEN_MS = 400;
const ASK_MS = 2_500;
/** A relay that is gone is no busy one: come back at once, spread a little among those that it had. */
const GONE_MS = 300;
const RETRY_MIN_MS = 800;
const RETRY_MAX_MS = 8_000;
const STATS_MS = 2_000;
/** The encoder starts low and feels its way up: within this time that says nothing about the network. */
const RAMP_MS = 20_000;
/** Two minutes of measurements, for a line on the screen. */
const HISTORY_MAX = 60;
/** Answers after which another key is asked for, and 409: who holds the stream. */
const KEY_STATUS = new Set([401, 403, 404, 409]);
const KEY_TRIES = 4;

/**
 * Events: `state` — "connecting" | "live" | "reconnecting" | "refused" | "closed"; `health` — {level, bitrate, rtt_ms, loss, width, height, frame_rate}.
 */
export class Publisher extends EventTarget {
  state = "connecting";
  /** @type {{ level: "good" | "fair" | "poor", bitrate: number, rtt_ms: number, loss: number, width: number, height: number, frame_rate: number } | undefined} */
  health = undefined;
  /** Bits a second of the picture as measured lately, oldest first. @type {number[]} */
  history = [];
  reason = undefined;

  #peer = undefined;
  #location = undefined;
  #etag = "";
  #attempt = 0;
  #last = undefined;
  #lost = undefined;
  #restartedAt = -Infinity;
  #network = navigator.connection?.type;

  /**
   * @param {{ whip_url: string, stream_key: string }} publish - as `start` answered it
   * @param {MediaStream} media - tracks may be swapped later by `replace`
   * @param {() => Promise<{ whip_url: string, stream_key: string }>} again - asks for a new key (409, revoked key)
   * @param {number} [bitrate] - of the picture at most, in bits a second
   */
  constructor(publish, media, again, bitrate = BITRATE_MAX) {
    super();
    this.publish = publish;
    this.media = media;
    this.again = again;
    this.bitrate = bitrate;
  }

  static get supported() {
    return Boolean(globalThis.RTCPeerConnection && navigator.mediaDevices?.getUserMedia);
  }

  start() {
    addEventListener("online", this.#online);
    navigator.connection?.addEventListener?.("change", this.#networkChanged);
    return this.#connect();
  }

  /**
   * Ends the session at the relay too.
   *
   * @param {{ over?: boolean }} [how] - over: the broadcast has ended, so that the relay ends the session by itself (what
   *   is gone by then it answers with 404)
   */
  async stop({ over = false } = {}) {
    if (over) this.#location = undefined;
    removeEventListener("online", this.#online);
    navigator.connection?.removeEventListener?.("change", this.#networkChanged);
    this.#setState("closed");
    clearTimeout(this.retry);
    await this.#hangUp();
  }

  /** Swaps the camera or microphone without a new session. */
  async replace(track) {
    const sender = this.#peer?.getSenders().find((each) => each.track?.kind === track.kind);
    if (track.kind === "video") track.contentHint ||= "motion";
    await sender?.replaceTrack(track);
  }

  async #connect() {
    await this.#hangUp();
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#peer = peer;
    try {
      for (const track of this.media.getTracks()) send(peer, track, this.media, this.bitrate);
      await peer.setLocalDescription(await peer.createOffer());
      await gathered(peer);
      const answer = await this.#post(peer.localDescription.sdp);
      if (peer !== this.#peer) return;
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
      this.#follow(peer);
    } catch (error) {
      if (peer === this.#peer) this.#failed(error);
    }
  }

  async #post(sdp) {
    const response = await fetch(this.publish.whip_url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${this.publish.stream_key}` },
      body: sdp,
      signal: AbortSignal.timeout(CONNECT_MS),
    });
    if (response.status !== 201) {
      const { error } = await response.json().catch(() => ({}));
      throw Object.assign(new Error(error?.message ?? String(response.status)), { status: response.status, code: error?.code });
    }
    const location = response.headers.get("Location");
    this.#location = location ? new URL(location, this.publish.whip_url).href : undefined;
    this.#etag = response.headers.get("ETag") ?? "";
    return response.text();
  }

  #follow(peer) {
    const deadline = setTimeout(() => peer.connectionState !== "connected" && lost(), CONNECT_MS);
    const lost = (gone = false) => {
      clearTimeout(deadline);
      clearTimeout(this.dip);
      if (peer !== this.#peer) return;
      // Nobody is there to say goodbye to.
      if (gone) this.#location = undefined;
      this.#failed(Object.assign(new Error(peer.connectionState), { gone }));
    };
    this.#lost = lost;
    this.#listen(peer, lost);
    peer.onconnectionstatechange = () => {
      if (peer !== this.#peer) return;
      clearTimeout(this.dip);
      if (peer.connectionState === "connected") {
        clearTimeout(deadline);
        this.#attempt = 0;
        this.#setState("live");
        this.#measure(peer);
      } else if (peer.connectionState === "disconnected") {
        this.dip = setTimeout(() => this.#restart(peer), DIP_MS);
      } else if (peer.connectionState === "failed") {
        lost();
      }
    };
  }

  /** Goes on in the same session over the network that there is now; a new session where that is not to be had. */
  async #restart(peer) {
    const lost = this.#lost;
    if (peer !== this.#peer || !this.#location || performance.now() - this.#restartedAt < RESTART_APART_MS) return;
    const began = performance.now();
    this.#restartedAt = began;
    try {
      await restartIce(peer, async (fragment) => {
        const response = await this.#patch(fragment, "*");
        if (began !== this.#restartedAt) throw new Error("another restart began");
        if (response.status !== 200) throw Object.assign(new Error("no restart"), { status: response.status });
        if (peer === this.#peer) this.#etag = response.headers.get("ETag") ?? "";
        return response.text();
      });
    } catch ({ status }) {
      // A request over the network that is gone fails late: the restart that came after it may be through.
      if (began !== this.#restartedAt) return;
      // Without a network there is nobody to ask: the next one is told by an event.
      if (status === undefined && !navigator.onLine) return;
      return lost(status === 404);
    }
    clearTimeout(this.dip);
    this.dip = setTimeout(() => peer === this.#peer && peer.connectionState !== "connected" && lost(), RESTART_MS);
  }

  /** Hears whether the relay still reports: ICE alone takes many seconds to call one gone that died. */
  #listen(peer, lost) {
    clearInterval(this.listening);
    let packets = -1;
    let heardAt = performance.now();
    let asking = false;
    const listening = setInterval(async () => {
      const report = await peer.getStats();
      if (peer !== this.#peer) return clearInterval(listening);
      let received = 0;
      report.forEach((entry) => {
        if (entry.type === "transport") received += entry.packetsReceived ?? 0;
      });
      if (received !== packets) {
        packets = received;
        heardAt = performance.now();
      } else if (performance.now() - heardAt > SILENT_MS && !asking && peer.connectionState !== "connecting") {
        asking = true;
        const over = await this.#isOver();
        asking = false;
        if (over && peer === this.#peer) lost(true);
      }
    }, LISTEN_MS);
    this.listening = listening;
  }

  /** Whether the relays say that this session is no more; an empty PATCH changes nothing in one that is. */
  async #isOver() {
    if (!this.#location) return false;
    const response = await this.#patch("", this.#etag).catch(() => undefined);
    return response?.status === 404;
  }

  #patch(fragment, tag) {
    return fetch(this.#location, {
      method: "PATCH",
      headers: {
        Authorization: `Bearer ${this.publish.stream_key}`,
        "Content-Type": "application/trickle-ice-sdpfrag",
        "If-Match": tag,
      },
      body: fragment,
      signal: AbortSignal.timeout(ASK_MS),
    });
  }

  async #failed(error) {
    if (this.state === "closed") return;
    clearInterval(this.stats);
    clearInterval(this.listening);
    if (KEY_STATUS.has(error.status)) {
      // The key was revoked, or another publisher holds the stream: its owner may ask for a new key, which replaces both.
      // A relay that begins anew knows of no stream for a moment: as long as the API gives out keys, the broadcast is live.
      try {
        if (this.#attempt > KEY_TRIES && error.status !== 404) throw error;
        this.publish = await this.again();
      } catch (refusal) {
        if (refusal.code !== "network" && refusal.status !== 503 && refusal.status !== 429) {
          this.reason = refusal;
          this.#setState("refused");
          return;
        }
      }
    }
    if (this.state === "closed") return;
    this.#setState(this.state === "connecting" ? "connecting" : "reconnecting");
    const wait = error.gone
      ? GONE_MS * Math.random()
      : Math.min(RETRY_MIN_MS * 1.6 ** this.#attempt, RETRY_MAX_MS) * (0.7 + 0.6 * Math.random());
    this.#attempt += 1;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.#connect(), wait);
  }

  #online = () => {
    if (this.state === "reconnecting" || this.state === "connecting") {
      clearTimeout(this.retry);
      this.#connect();
    } else if (this.#peer) {
      this.#restart(this.#peer);
    }
  };

  /** From Wi-Fi to mobile and back: the old address may go on for seconds, but not for long. */
  #networkChanged = () => {
    const { type } = navigator.connection;
    const another = type !== this.#network && type !== "none";
    this.#network = type;
    if (another && this.state === "live" && this.#peer) this.#restart(this.#peer);
  };

  async #hangUp() {
    clearInterval(this.stats);
    clearInterval(this.listening);
    clearTimeout(this.dip);
    this.#restartedAt = -Infinity;
    const [peer, location] = [this.#peer, this.#location];
    this.#peer = this.#location = undefined;
    this.#last = undefined;
    if (peer) peer.onconnectionstatechange = null;
    peer?.close();
    if (!location) return;
    // Best effort: a relay that is gone has no session to end, and one that is there notices the silence itself.
    await fetch(location, {
      method: "DELETE",
      headers: { Authorization: `Bearer ${this.publish.stream_key}` },
      keepalive: true,
      signal: AbortSignal.timeout(2_000),
    }).catch(() => undefined);
  }

  #measure(peer) {
    clearInterval(this.stats);
    const liveAt = Date.now();
    this.stats = setInterval(async () => {
      const report = await peer.getStats();
      if (peer !== this.#peer) return;
      let video;
      let remote;
      report.forEach((entry) => {
        if (entry.type === "outbound-rtp" && entry.kind === "video") video = entry;
        if (entry.type === "remote-inbound-rtp" && entry.kind === "video") remote = entry;
      });
      if (!video) return;
      const last = this.#last ?? video;
      this.#last = video;
      const seconds = (video.timestamp - last.timestamp) / 1000 || 1;
      const bitrate = ((video.bytesSent - last.bytesSent) * 8) / seconds;
      const rtt_ms = (remote?.roundTripTime ?? 0) * 1000;
      const loss = remote?.fractionLost ?? 0;
      const limited = video.qualityLimitationReason === "bandwidth" && Date.now() - liveAt > RAMP_MS;
      const { frameWidth: width = 0, frameHeight: height = 0, framesPerSecond: frame_rate = 0 } = video;
      this.health = { bitrate, rtt_ms, loss, width, height, frame_rate, level: level({ rtt_ms, loss, limited }) };
      if (video !== last) this.history = [...this.history, bitrate].slice(-HISTORY_MAX);
      this.dispatchEvent(new Event("health"));
    }, STATS_MS);
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** What a host can act on: find better network, or do not worry. */
export function level({ rtt_ms, loss, limited }) {
  if (loss > 0.08 || rtt_ms > 600) return "poor";
  if (loss > 0.02 || rtt_ms > 250 || limited) return "fair";
  return "good";
}

function send(peer, track, media, bitrate) {
  const video = track.kind === "video";
  if (video) track.contentHint ||= "motion";
  const transceiver = peer.addTransceiver(track, {
    direction: "sendonly",
    streams: [media],
    ...(video ? { sendEncodings: [{ maxBitrate: bitrate, maxFramerate: FRAMERATE_MAX }] } : {}),
  });
  if (video) preferH264(transceiver);
}

/** The relay passes H.264 on as it is; anything else would have to be refused there. */
function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
  const h264 = codecs.filter(({ mimeType }) => /\/h264$/i.test(mimeType));
  // Packetization mode 1 and constrained baseline first: what every viewer's decoder takes.
  const rank = ({ sdpFmtpLine = "" }) =>
    (/packetization-mode=1/.test(sdpFmtpLine) ? 0 : 2) + (/profile-level-id=42e0/i.test(sdpFmtpLine) ? 0 : 1);
  h264.sort((a, b) => rank(a) - rank(b));
  const repair = codecs.filter(({ mimeType }) => /\/(rtx|red|ulpfec)$/i.test(mimeType));
  if (h264.length > 0) transceiver.setCodecPreferences?.([...h264, ...repair]);
}
