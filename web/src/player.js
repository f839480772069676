// <onair-player>: live video. hls.js with low latency, or the system's own player on Safari. It never shows a frozen
// picture without words: the last picture is kept, dimmed, and `state` says what is going on.
import { LitElement, html } from "lit";
import { HLS_OPTIONS } from "./hls_options.js";
import { icon } from "./icons.js";
import { keepPicture } from "./last_picture.js";
import { BEHIND_S, latency, pace, renditions } from "./live_edge.js";
import { describe, handle, playing } from "./media_session.js";
import { MediaFrames, framesIn, readCues } from "./media_frames.js";
import { playerStyle } from "./player_style.js";
import { soundIn, soundOf } from "./sound_alone.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

/** No progress for this long is "buffering"; for longer, "reconnecting". */
const BUFFERING_MS = 1_200;
const RECONNECTING_MS = 4_000;
/** Without progress for this long the source is loaded anew: a restarted relay has new names for everything. */
const RELOAD_MS = 8_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 8_000;
const WATCH_MS = 400;
/** How often it is looked whether the picture has reached the next frame of the room. */
const FRAMES_MS = 50;
/** How far from the distance to live that the playlist asks for a player may be before it plays faster. */
const SLACK_S = 0.15;
/** What it lost while it loaded is made good by a jump, once, if it is more than this: playing faster takes a while. */
const LOADING_LOST_S = 0.4;
const SOUND_KEY = "onair.sound";

const ownPlayer = () =>
  /^Apple/.test(navigator.vendor) && document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";

/**
 * @fires state - whenever `state`, `muted` or `behind` changes
 * @fires frame - a frame of the room that came in the media, when the picture is at its place: `detail`
 * @fires refused - the playback address was refused (a new ticket is needed); set `src` again
 */
export class OnairPlayer extends LitElement {
  static properties = {
    src: {},
    fit: { reflect: true },
    label: {},
    state: { reflect: true },
    muted: { type: Boolean, reflect: true },
    landscape: { type: Boolean, reflect: true },
    /** Who is seen, and an address of a picture of it: what a lock screen shows. */
    artist: {},
    artwork: {},
    /** Far enough behind the camera that one may want to jump. */
    behind: { type: Boolean, reflect: true },
    blocked: { state: true },
    /** Whether only the sound is played. */
    alone: { type: Boolean, reflect: true },
  };

  static styles = [sheet, playerStyle];

  constructor() {
    super();
    this.fit = "cover";
    this.state = "connecting";
    this.muted = localStorage.getItem(SOUND_KEY) !== "on";
    this.landscape = false;
    this.blocked = false;
    this.behind = false;
    this.alone = false;
    this.renditions = [];
    this.retries = 0;
    this.frames = new MediaFrames();
  }

  get video() {
    return this.renderRoot?.querySelector("video");
  }

  render() {
    return html`
      <canvas class="backdrop" width="48" height="48" aria-hidden="true"></canvas>
      <video
        playsinline
        disableremoteplayback
        aria-label=${this.label ?? ""}
        .muted=${this.muted}
        @resize=${this.#sized}
        @loadedmetadata=${this.#sized}
        @waiting=${() => this.#keepPicture()}
        @ended=${() => this.#set("ended")}
      ></video>
      <canvas class="still" aria-hidden="true"></canvas>
      ${this.alone ? html`<div class="alone">${icon("sound")}${t("playback.alone")}</div>` : ""}
      ${this.blocked
        ? html`<button class="play" @click=${this.#play} aria-label=${t("watch.tap_play")}>${icon("play")}</button>`
        : ""}
    `;
  }

  connectedCallback() {
    super.connectedCallback();
    // While the address to play is still being asked for; one that fails is tried again when there is something to play.
    if (!ownPlayer()) import("hls.js").catch(() => undefined);
    this.watch = setInterval(() => this.#look(), WATCH_MS);
    this.reading = setInterval(() => this.#tell(this.frames.due(this.video?.currentTime ?? 0)), FRAMES_MS);
    addEventListener("online", this.#reloadSoon);
    document.addEventListener("visibilitychange", this.#shown);
    this.releaseSession = handle({
      play: () => this.goLive(),
      pause: this.#pause,
      stop: this.#pause,
      // A tab that is left may keep its picture in a small window, where the browser offers it.
      enterpictureinpicture: () => this.video?.requestPictureInPicture?.(),
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.watch);
    clearInterval(this.reading);
    clearTimeout(this.retry);
    removeEventListener("online", this.#reloadSoon);
    document.removeEventListener("visibilitychange", this.#shown);
    this.releaseSession();
    if (document.pictureInPictureElement) document.exitPictureInPicture().catch(() => undefined); // gone already
    this.#unload();
  }

  updated(changed) {
    if (changed.has("src") && this.src) {
      this.soundUrl = undefined;
      this.#load();
    }
    if (["label", "artist", "artwork"].some((each) => changed.has(each))) {
      describe({ title: this.label, artist: this.artist, artwork: this.artwork });
    }
    if (["state", "muted", "behind"].some((each) => changed.has(each))) this.dispatchEvent(new Event("state"));
  }

  /** Sound on, from a tap; remembered for the next broadcast. */
  unmute() {
    this.muted = false;
    this.video.muted = false;
    localStorage.setItem(SOUND_KEY, "on");
    this.#play();
  }

  mute() {
    this.muted = true;
    localStorage.removeItem(SOUND_KEY);
  }

  /** Silent while one is on screen, where the others are heard at once; then as before. What is remembered stays. */
  hush(on) {
    if (on) {
      this.loud = !this.muted;
      this.muted = true;
    } else if (this.loud) {
      this.loud = false;
      this.muted = false;
      this.#play();
    }
  }

  // --- how it plays ---------------------------------------------------------------------------------------------

  /** Seconds behind the camera, as far as they are known. */
  get latency_s() {
    const { hls, video } = this;
    if (!this.src || !this.pictured) return undefined;
    const start = hls ? undefined : video.getStartDate?.().getTime();
    const date = hls ? hls.playingDate?.getTime() : start + video.currentTime * 1000;
    return latency({ date, edge_s: hls?.latency, now: Date.now() });
  }

  get catchingUp() {
    return (this.video?.playbackRate ?? 1) > 1;
  }

  /** Index of the rendition that the person chose; undefined is the player's own choice, null is sound alone. */
  get chosen() {
    if (this.alone) return null;
    return this.renditions.find(({ lines }) => lines === this.chosenLines)?.index;
  }

  /** The rendition on screen, where that is known. */
  get shown() {
    if (this.alone) return undefined;
    return this.renditions.find(({ index }) => index === this.hls?.currentLevel);
  }

  /** Goes on in another rendition from the next segment on; what is loaded is still played, so nothing stalls. */
  choose(index) {
    if (index === null) return this.#listen();
    const wasAlone = this.alone;
    this.alone = false;
    this.chosenLines = this.renditions.find((each) => each.index === index)?.lines;
    if (wasAlone) this.#load();
    else if (this.hls) this.hls.loadLevel = index ?? -1;
  }

  /** Whether there is a rendition without pictures besides. */
  get mayListen() {
    return this.alone || this.soundUrl !== undefined;
  }

  /** The sound goes on without a picture, also behind other pages; whoever chooses that wants to hear it. */
  #listen() {
    if (this.alone) return;
    this.alone = true;
    this.#load();
    this.unmute();
  }

  /** Jumps to where live is. */
  goLive() {
    const { video } = this;
    const { seekable } = video;
    const edge = this.hls?.liveSyncPosition ?? (seekable.length > 0 ? seekable.end(seekable.length - 1) - 2 : undefined);
    if (edge > video.currentTime) video.currentTime = edge;
    if (video.paused) this.#play();
  }

  /** From the lock screen, a headphone or the small window: it stays paused until somebody wants it back. */
  #pause = () => {
    this.video?.pause();
    this.blocked = true;
    playing(false);
  };

  stop() {
    clearTimeout(this.retry);
    this.#keepPicture();
    this.src = undefined;
    this.video?.pause();
    this.#unload();
  }

  async #load() {
    clearTimeout(this.retry);
    this.#keepPicture();
    this.#unload();
    this.progressAt = performance.now();
    this.loadedAt = this.progressAt;
    const source = this.src;
    const video = this.video;
    // Until its address is known the multivariant playlist is loaded, which tells it.
    const address = (this.alone && this.soundUrl) || source;
    if (ownPlayer()) {
      video.src = address;
      if (!this.soundUrl) this.#findSound(source);
      readCues(video, (frames) => this.#tell(frames));
      video.onerror = () => this.#failed();
    } else {
      const { default: Hls } = await import("hls.js");
      if (source !== this.src || !this.isConnected) return;
      if (!Hls.isSupported()) return this.#set("unsupported");
      this.#attach(Hls, address, video);
    }
    this.#play();
  }

  async #findSound(source) {
    const answer = await fetch(source).catch(() => undefined); // the player itself tells what is wrong
    if (!answer?.ok || source !== this.src) return;
    this.soundUrl = soundIn(await answer.text(), answer.url);
    if (this.alone && this.soundUrl) this.#load();
  }

  #attach(Hls, address, video) {
    const hls = new Hls(HLS_OPTIONS);
    this.hls = hls;
    const plain = address === this.soundUrl;
    hls.on(Hls.Events.MANIFEST_LOADED, (_, { levels }) => {
      if (hls !== this.hls || plain) return;
      this.soundUrl = soundOf(levels);
      if (this.alone && this.soundUrl) this.#load();
    });
    hls.on(Hls.Events.MANIFEST_PARSED, (_, { levels }) => {
      // One playlist by itself tells of no others: those that are known stay in the menu.
      if (hls !== this.hls || plain) return;
      this.renditions = renditions(levels);
      // A choice outlives a new load, as long as there is a rendition of that size.
      const again = this.renditions.find(({ lines }) => lines === this.chosenLines);
      if (again) hls.loadLevel = again.index;
    });
    // Another relay took over: numbers jump and time begins anew, which a fresh load plays sooner than a repair.
    let newest;
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      if (hls !== this.hls) return;
      const jumped = newest !== undefined && details.startSN > newest + 1;
      newest = details.endSN;
      if (jumped) this.#anew();
    });
    hls.on(Hls.Events.ERROR, (_, { fatal, type, response, details }) => {
      if (hls !== this.hls) return;
      if (response?.code === 401 || response?.code === 403) return this.#refused();
      // What was chosen is not made any longer: any other is better than a picture that stands.
      if (details === Hls.ErrorDetails.FRAG_GAP && this.chosen !== undefined) this.choose(undefined);
      if (!fatal) return;
      if (details === Hls.ErrorDetails.LEVEL_PARSING_ERROR && this.pictured) return this.#anew();
      if (type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
        this.recovered = true; // once a load; a second time a new load is the better cure
        hls.recoverMediaError();
      } else {
        this.#failed();
      }
    });
    hls.on(Hls.Events.FRAG_PARSING_METADATA, (_, { samples }) => {
      if (hls !== this.hls) return;
      for (const { data, pts } of samples) for (const frame of framesIn(data)) this.frames.add(frame, pts);
    });
    hls.loadSource(address);
    hls.attachMedia(video);
    this.recovered = this.closedIn = false;
  }

  #tell(frames) {
    for (const frame of frames) this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  #unload() {
    this.#tell(this.frames.flush());
    this.hls?.destroy();
    this.hls = undefined;
    if (this.video) this.video.onerror = null;
    this.video?.removeAttribute("src");
  }

  #play = async () => {
    const video = this.video;
    if (!video) return;
    video.muted = this.muted;
    try {
      await video.play();
      this.blocked = false;
      playing(true);
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // a newer load replaced this one
      if (video.muted) {
        this.blocked = true; // battery savers refuse even silent video
        return;
      }
      this.muted = true; // sound needs a tap first; the choice for the next time stays
      video.muted = true;
      await video.play().catch(() => (this.blocked = true));
    }
  };

  #refused() {
    this.#failed();
    this.dispatchEvent(new Event("refused"));
  }

  /** Loads again at once, with the last picture on the screen; not again within a second. */
  #anew() {
    if (performance.now() - this.loadedAt < RETRY_MIN_MS) return this.#failed();
    this.#keepPicture();
    this.#load();
  }

  #failed() {
    if (this.state === "ended" || !this.src) return;
    // Another relay may have other names.
    this.soundUrl = undefined;
    this.#keepPicture();
    // "Connecting" turns into "reconnecting" only when there was a picture: a stream that has yet to start has none.
    this.#set(this.pictured ? "reconnecting" : "connecting");
    clearTimeout(this.retry);
    const wait = Math.min(RETRY_MIN_MS * 1.5 ** this.retries, RETRY_MAX_MS) * (0.7 + 0.6 * Math.random());
    this.retries += 1;
    this.retry = setTimeout(() => this.src && this.#load(), wait);
    this.hls?.stopLoad();
  }

  #reloadSoon = () => {
    if (this.state === "reconnecting" || this.state === "connecting") {
      this.retries = 0;
      this.#failed();
    }
  };

  #shown = () => {
    if (document.hidden || !this.src) return;
    this.progressAt = performance.now();
    const edge = this.hls?.liveSyncPosition;
    // The background pauses video: come back live, not where it was left.
    if (edge && edge - this.video.currentTime > 4) this.video.currentTime = edge;
    if (this.video.paused && !this.blocked) this.#play();
  };

  /** Runs a few times a second: is the picture moving? */
  #look() {
    const video = this.video;
    // Behind other pages pictures stand, and sound alone goes on.
    if (!video || !this.src || (document.hidden && !this.alone)) return;
    const now = performance.now();
    if (video.currentTime !== this.lastTime && video.readyState >= 2 && !video.paused) {
      this.lastTime = video.currentTime;
      this.progressAt = now;
      if (this.state !== "playing") {
        this.retries = 0;
        this.pictured = true;
        this.#set("playing");
        this.#closeIn(video);
      }
      this.#paintBackdrop();
      this.#keepPace(video);
      return;
    }
    if (this.state === "ended" || this.state === "unsupported" || this.blocked) return;
    const still = now - this.progressAt;
    if (this.pictured && still > RECONNECTING_MS) {
      this.#keepPicture();
      this.#set("reconnecting");
    } else if (this.state === "playing" && still > BUFFERING_MS) {
      this.#set("buffering");
    }
    if (still > RELOAD_MS && now - this.loadedAt > RELOAD_MS) {
      this.loadedAt = now;
      this.#failed();
    }
  }

  /** To where live is by now, if that is loaded; at the start of each load, where nobody sees it. */
  #closeIn(video) {
    const { hls } = this;
    const { buffered } = video;
    if (this.closedIn || !hls) return;
    this.closedIn = true;
    const at = hls.liveSyncPosition;
    const loaded = buffered.length > 0 ? buffered.end(buffered.length - 1) : 0;
    if (at - video.currentTime > LOADING_LOST_S && at < loaded) video.currentTime = at;
  }

  #keepPace(video) {
    const { latency_s } = this;
    this.behind = latency_s !== undefined && latency_s > BEHIND_S;
    const { hls } = this;
    const goal = hls ? { target_s: hls.targetLatency ?? undefined, slack_s: SLACK_S } : {};
    video.playbackRate = pace(hls ? hls.latency : latency_s, video.playbackRate, goal);
  }

  #set(state) {
    this.state = state;
  }

  #sized = () => {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth) this.landscape = videoWidth > videoHeight;
  };

  #paintBackdrop() {
    if (this.fit !== "contain") return;
    const canvas = this.renderRoot.querySelector(".backdrop");
    canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
  }

  #keepPicture() {
    keepPicture(this.video, this.renderRoot?.querySelector(".still"));
  }
}

customElements.define("onair-player", OnairPlayer);
