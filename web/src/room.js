// The room socket, protocol.md to the letter: ticket → socket → join, frames in order, acts resent until acknowledged,
// reconnects spread in time, renewal before the service's two hours.
import { FrameOrder } from "./frame_order.js";
import { roomAfter } from "./room_state.js";
import { Transport } from "./transport.js";

/** An act without an answer for this long is sent again with the same id, which is safe. */
const ACK_MS = 8_000;
/** A socket that has not opened and joined, or not answered a ping, in this time counts as dead. */
const ANSWER_MS = 10_000;
const SPREAD_MIN_MS = 3_000;
/** In a stadium, about how often it is looked whether the picture still brings frames. */
const PICTURE_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;
const RENEW_MIN_MS = 90 * 60_000;
const RENEW_MAX_MS = 115 * 60_000;
/** Client ids remembered for telling own lines apart; the oldest go first. */
const OWN_IDS_MAX = 400;
/** The protocol takes at most 50 taps and 8 kinds a message. */
const REACT_COUNT_MAX = 50;
const REACT_KINDS_MAX = 8;
/** What a screen shows from the acknowledgement already; one's own question is news to its own sheet too. */
const ECHOED = new Set(["chat", "gift"]);
/** Codes after which asking for a ticket again makes no sense. */
const FINAL_CODES = new Set(["not_live", "not_found", "forbidden", "suspended", "banned", "blocked", "age_restricted"]);

/** A refusal told by the socket. */
export class RoomError extends Error {
  constructor({ code, message, retry_after_ms }) {
    super(message);
    this.name = "RoomError";
    this.code = code;
    this.retryAfterMs = retry_after_ms;
  }
}

/**
 * Events: `state` (see `state`), `snapshot` (the room as joined, state before it is void), `line` ({event, own}),
 * `held` (comments that wait, or what was decided about one's own), `counts` (viewers and reaction totals), `taps` ({kind: increase} by others), `me`, `ended`.
 */
export class Room extends EventTarget {
  /** "connecting" | "open" | "reconnecting" | "stopped" */
  state = "connecting";
  /** Why it stopped: an ApiError or RoomError. */
  reason = undefined;
  room = undefined;
  me = undefined;
  viewers = 0;
  /** "waiting" | "flowing" | "lost": what the relay tells of the host's picture. */
  media = "waiting";
  reactions = {};
  reactionKinds = [];
  ticket = undefined;
  /** Comments that wait for a decision, as the host was last told. */
  heldWaiting = 0;
  /** The code of the shared link by which someone came. */
  via = undefined;

  #order = new FrameOrder();
  #socket = undefined;
  #timers = new Map();
  #acts = new Map();
  #ownIds = new Set();
  #taps = {};
  #ownTaps = {};
  #sampleRate = 1;
  #pace = { ping_s: 300, react_interval_ms: 1_000, reconnect_spread_ms: SPREAD_MIN_MS };
  #attempt = 0;
  #transport = new Transport(Date.now());

  /**
   * @param {{ api: import("./api.js").Api, streamId: string, WebSocket?: typeof WebSocket, random?: () => number }} parts
   */
  constructor({ api, streamId, WebSocket = globalThis.WebSocket, random = Math.random }) {
    super();
    this.api = api;
    this.streamId = streamId;
    this.WebSocket = WebSocket;
    this.random = random;
  }

  /** Asks for the ticket and opens the socket. Resolves with the ticket (it holds the playback address). */
  async start() {
    return this.#connect();
  }

  /** Closes for good; nothing is sent or told after it. */
  stop() {
    for (const key of [...this.#timers.keys()]) this.#clear(key);
    for (const act of this.#acts.values()) act.reject(new RoomError({ code: "closed", message: "" }));
    this.#acts.clear();
    this.#drop();
    this.state = "stopped";
  }

  /** A new ticket and socket at once, before the service would close the old one, which serves until then. */
  renew() {
    this.#attempt = 0;
    return this.#connect();
  }

  /** As `renew`, for somebody who signed in or out: acts wait for the socket that knows them by the right name. */
  changeAccount() {
    if (this.state === "stopped") return undefined;
    this.#drop();
    this.#clear("gap");
    this.#setState("connecting");
    return this.renew();
  }

  /** Resolves with the acknowledgement; rejects with RoomError. Resent after a reconnect until one of them comes. */
  chat(text, replyTo) {
    return this.#act({ action: "chat", text, ...(replyTo ? { reply_to: replyTo } : {}) });
  }

  gift(giftId, count, combo) {
    return this.#act({ action: "gift", gift_id: giftId, count, ...(combo ? { combo } : {}) });
  }

  ask(text) {
    return this.#act({ action: "ask", text });
  }

  upvote(questionId) {
    return this.#act({ action: "upvote", question_id: questionId });
  }

  /** What becomes of a question, or of a comment in the spotlight: "showing", "answered" or "dismissed". */
  answer(questionId, state) {
    return this.#act({ action: "answer", question_id: questionId, state });
  }

  poll(question, options, seconds) {
    return this.#act({ action: "poll", question, options, seconds });
  }

  vote(pollId, option) {
    return this.#act({ action: "vote", poll_id: pollId, option });
  }

  /** Counts one tap; taps go out together, once an interval. */
  react(kind) {
    this.#taps[kind] = (this.#taps[kind] ?? 0) + 1;
    if (!this.#timers.has("react")) this.#set("react", this.#pace.react_interval_ms, () => this.#sendTaps());
  }

  /** Asks for what may have been missed, e.g. when the page comes back from the background. */
  check() {
    if (this.state === "open" && this.#transport.byMedia(this.me?.role)) this.#join(this.#socket);
    else if (this.state === "open") this.#ping();
    else if (this.#timers.has("reconnect")) this.#set("reconnect", this.random() * 500, () => this.#connect());
  }

  /** A frame that the player found in the media, at its time: one of those that a stadium does not post. */
  mediaFrame(frame) {
    if (this.state === "stopped" || frame.epoch !== this.#order.epoch) return;
    this.#apply(this.#order.receive(frame), { counts: true });
    this.#watchGap();
  }

  /** The screen tells whether its picture moves; a still one brings no frames, and then the socket has to. */
  picture(moving) {
    this.#transport.picture(moving, Date.now());
    this.#watchPicture();
  }

  // --- connecting -----------------------------------------------------------------------------------------------

  async #connect() {
    this.#clear("reconnect");
    try {
      const via = this.via ? `?via=${encodeURIComponent(this.via)}` : "";
      this.ticket = await this.api.post(`/streams/${this.streamId}/ticket${via}`, undefined);
      // A visitor counts once they sign in; whoever is counted need not be told of again.
      if (this.ticket.role !== "visitor") this.via = undefined;
    } catch (error) {
      if (this.state === "stopped") return undefined;
      if (error.status === 403 || error.status === 404 || FINAL_CODES.has(error.code) || error.code === "unauthenticated") {
        this.#stopWith(error);
      } else {
        this.#reconnectLater();
      }
      return undefined;
    }
    if (this.state === "stopped") return undefined;
    this.#open(this.ticket.socket_url);
    this.dispatchEvent(new CustomEvent("ticket", { detail: this.ticket }));
    return this.ticket;
  }

  #open(url) {
    const previous = this.#socket;
    const socket = new this.WebSocket(url);
    this.#socket = socket;
    this.#set("answer", ANSWER_MS, () => this.#lost(socket));
    socket.onopen = () => this.#join(socket);
    socket.onmessage = ({ data }) => this.#message(socket, data);
    socket.onclose = socket.onerror = () => this.#lost(socket);
    // The old socket of a renewal has served once the new one takes over: what it had in flight is read by `after`.
    if (previous) close(previous);
  }

  #join(socket) {
    this.#order.waiting = true;
    this.#clear("gap");
    this.#set("answer", ANSWER_MS, () => this.#lost(socket));
    this.#clear("behind");
    const { frames } = this.#transport;
    this.#send({ action: "join", ...this.#order.resume, ...(frames ? { frames } : {}) });
  }

  #lost(socket) {
    if (socket !== this.#socket || this.state === "stopped") return;
    this.#drop();
    this.#reconnectLater();
  }

  #reconnectLater() {
    this.#clear("answer");
    this.#clear("ping");
    const spread = Math.max(this.#pace.reconnect_spread_ms, SPREAD_MIN_MS);
    const window = Math.min(spread * 2 ** this.#attempt, Math.max(BACKOFF_MAX_MS, spread));
    this.#attempt += 1;
    this.#setState("reconnecting");
    this.#set("reconnect", this.random() * window, () => this.#connect());
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) close(socket);
  }

  #stopWith(reason) {
    this.stop();
    this.reason = reason;
    this.dispatchEvent(new Event("state"));
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  // --- receiving ------------------------------------------------------------------------------------------------

  #message(socket, data) {
    if (socket !== this.#socket) return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not ours: the protocol is JSON only
    }
    switch (message.type) {
      case "joined":
        return void this.#joined(socket, message);
      case "frame":
        return this.#frame(message);
      case "ack":
        return this.#acknowledged(message);
      case "error":
        return this.#refused(message);
      case "pong":
        this.#set("ping", this.#pace.ping_s * 1000, () => this.#ping());
        this.#clear("answer");
        this.#behind(socket, message.seq);
        return;
      case "me":
        this.me = { ...this.me, ...message };
        this.dispatchEvent(new Event("me"));
        return;
      case "bye":
        // What the media was still to bring does not come any more.
        if (message.reconnect === false) this.#apply(this.#order.rest(), { counts: true });
        if (message.reconnect === false) this.#stopWith(new RoomError(message));
        else this.#lost(socket);
        return;
      case "held":
        // With `waiting` it is for who moderates; else it tells an author what was decided about a comment.
        if (message.waiting !== undefined) this.heldWaiting = message.waiting;
        this.dispatchEvent(new CustomEvent("held", { detail: message }));
        return;
      case "pulse":
        this.dispatchEvent(new CustomEvent("pulse", { detail: message }));
    }
  }

  async #joined(socket, message) {
    this.#clear("answer");
    this.#pace = { ...this.#pace, ...pick(message, ["ping_s", "react_interval_ms", "reconnect_spread_ms"]) };
    this.reactionKinds = message.reaction_kinds ?? this.reactionKinds;
    this.me = message.me;
    this.room = message.room;
    this.serverTime = message.server_time;
    const { reset, behind, frames } = this.#order.joined(message);
    this.viewers = message.room?.viewers ?? this.viewers;
    this.media = message.room?.media ?? this.media;
    this.reactions = { ...message.room?.reactions };
    this.#ownTaps = {};
    this.dispatchEvent(new CustomEvent("snapshot", { detail: { reset } }));
    this.#apply(frames, { counts: false });
    this.#watchPicture();
    if (behind && !(await this.#catchUp(socket, message.seq))) return;
    this.#attempt = 0;
    this.#setState("open");
    this.#set("ping", this.#pace.ping_s * 1000, () => this.#ping());
    this.#set("renew", RENEW_MIN_MS + this.random() * (RENEW_MAX_MS - RENEW_MIN_MS), () => this.renew());
    for (const act of this.#acts.values()) this.#sendAct(act);
  }

  /** Pages the missed frames from storage; false when the socket was lost meanwhile. */
  async #catchUp(socket, seq) {
    for (let more = true; more; ) {
      const { epoch, after } = this.#order.resume;
      let page;
      try {
        page = await this.api.get(`/streams/${this.streamId}/frames?epoch=${encodeURIComponent(epoch)}&after=${after}`);
      } catch {
        this.#lost(socket);
        return false;
      }
      if (socket !== this.#socket) return false;
      more = page.more === true && page.frames.length > 0 && page.epoch === epoch;
      this.#apply(this.#order.page(page.frames, Math.max(seq, page.seq), more), { counts: false });
    }
    return true;
  }

  #frame(frame) {
    this.#transport.heard(frame);
    const otherEpoch = !this.#order.waiting && frame.epoch !== this.#order.epoch;
    this.#apply(this.#order.receive(frame), { counts: true });
    if (otherEpoch) this.#join(this.#socket);
    else this.#watchGap();
    this.#watchPicture();
  }

  #watchGap() {
    if (!this.#order.gap) this.#clear("gap");
    else if (!this.#timers.has("gap")) this.#set("gap", this.#patience, () => this.#socket && this.#join(this.#socket));
  }

  get #patience() {
    return this.#transport.patience(this.me?.role, Math.max(this.#pace.reconnect_spread_ms, SPREAD_MIN_MS), this.random());
  }

  /** Is something missing up to `seq`? What comes in the media is merely not shown yet, for a while. */
  #behind(socket, seq) {
    if (this.#order.waiting || seq <= this.#order.seq) return;
    if (!this.#transport.byMedia(this.me?.role)) return this.#join(socket);
    this.#set("behind", this.#patience, () => {
      if (socket === this.#socket && !this.#order.waiting && this.#order.seq < seq) this.#join(socket);
    });
  }

  #watchPicture() {
    const { told, frames } = this.#transport;
    if (told === "socket" && frames === undefined) return this.#clear("picture");
    if (this.#timers.has("picture")) return;
    this.#set("picture", PICTURE_MS * (0.5 + this.random()), () => {
      if (this.state === "open" && this.#transport.reconsider(this.me?.role, Date.now())) this.#join(this.#socket);
      this.#watchPicture();
    });
  }

  #apply(frames, { counts }) {
    if (frames.length === 0) return;
    for (const frame of frames) {
      this.#transport.applied(frame);
      for (const event of frame.events ?? []) {
        // Somebody behind a block, either way: the frame is the same for all, so it is left out here.
        if (!this.ticket?.hidden?.includes(event.from?.id)) this.#event(event);
      }
      if (!counts) continue;
      this.viewers = frame.viewers ?? this.viewers;
      this.media = frame.media ?? this.media;
      this.#sampleRate = frame.react_sample ?? 1;
      if (frame.reactions) this.#totals(frame.reactions);
      if (frame.skipped > 0) this.dispatchEvent(new CustomEvent("skipped", { detail: frame.skipped }));
    }
    this.dispatchEvent(new Event("counts"));
  }

  #totals(totals) {
    const byOthers = {};
    for (const [kind, total] of Object.entries(totals)) {
      const increase = total - (this.reactions[kind] ?? 0);
      const own = Math.min(this.#ownTaps[kind] ?? 0, Math.max(0, increase));
      if (own > 0) this.#ownTaps[kind] -= own;
      if (increase - own > 0) byOthers[kind] = increase - own;
    }
    this.reactions = { ...this.reactions, ...totals };
    if (Object.keys(byOthers).length > 0) this.dispatchEvent(new CustomEvent("taps", { detail: byOthers }));
  }

  #event(event) {
    const clientIds = [event.client_id, ...(event.client_ids ?? [])].filter(Boolean);
    const shown = clientIds.some((id) => this.#ownIds.has(id));
    const own = clientIds.some((id) => this.#ownIds.has(id) || this.#acts.has(id));
    for (const id of clientIds) if (this.#acts.has(id)) this.#remember(id);
    this.room = roomAfter(this.room, event);
    if (!shown || !ECHOED.has(event.type)) this.dispatchEvent(new CustomEvent("line", { detail: { event, own } }));
    if (event.type === "ended") this.dispatchEvent(new CustomEvent("ended", { detail: event }));
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  #act(fields) {
    const message = { id: crypto.randomUUID(), ...fields };
    return new Promise((resolve, reject) => {
      const act = { message, resolve, reject };
      this.#acts.set(message.id, act);
      if (this.state === "open") this.#sendAct(act);
    });
  }

  #sendAct(act) {
    this.#send(act.message);
    this.#set(`act ${act.message.id}`, ACK_MS, () => this.state === "open" && this.#sendAct(act));
  }

  #acknowledged(ack) {
    const act = this.#settle(ack.id);
    if (!act) return;
    // The frame may have come first and shown the line: then `shown` tells the screen not to show it again.
    const shown = this.#ownIds.has(ack.id);
    // A comment that waits is shown by the frame that it is released into.
    if (!ack.held) this.#remember(ack.id);
    act.resolve({ ...ack, shown });
  }

  #refused(error) {
    const act = this.#settle(error.id);
    if (act) return act.reject(new RoomError(error));
    if (error.id === undefined && this.#order.waiting && FINAL_CODES.has(error.code)) this.#stopWith(new RoomError(error));
    else if (error.id === undefined && this.#order.waiting) this.#lost(this.#socket);
    return undefined;
  }

  #settle(id) {
    const act = this.#acts.get(id);
    this.#acts.delete(id);
    this.#clear(`act ${id}`);
    return act;
  }

  #remember(id) {
    this.#ownIds.add(id);
    if (this.#ownIds.size > OWN_IDS_MAX) this.#ownIds.delete(this.#ownIds.values().next().value);
  }

  #sendTaps() {
    if (this.state !== "open") {
      this.#taps = {}; // hearts are of the moment: those of a dead socket are not sent later
      return;
    }
    const counts = {};
    let room = REACT_COUNT_MAX;
    for (const kind of Object.keys(this.#taps).slice(0, REACT_KINDS_MAX)) {
      if (room === 0) break;
      counts[kind] = Math.min(this.#taps[kind], room);
      room -= counts[kind];
      this.#taps[kind] -= counts[kind];
      if (this.#taps[kind] <= 0) delete this.#taps[kind];
    }
    // In a big room only a share of the clients reports, each for all that do not: one draw an interval.
    if (this.random() < this.#sampleRate) {
      this.#send({ action: "react", counts });
      for (const [kind, count] of Object.entries(counts)) this.#ownTaps[kind] = (this.#ownTaps[kind] ?? 0) + count;
    }
    if (Object.keys(this.#taps).length > 0) this.#set("react", this.#pace.react_interval_ms, () => this.#sendTaps());
  }

  #ping() {
    const socket = this.#socket;
    this.#send({ action: "ping" });
    this.#set("answer", ANSWER_MS, () => this.#lost(socket));
  }

  #send(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #set(key, ms, run) {
    this.#clear(key);
    this.#timers.set(key, setTimeout(() => {
      this.#timers.delete(key);
      run();
    }, ms));
  }

  #clear(key) {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}

function close(socket) {
  socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
  socket.close();
}

const pick = (from, keys) => Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));

