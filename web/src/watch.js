// <onair-watch>: someone else's broadcast: the picture over the whole glass, the room above it.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { giftsById } from "./catalogue.js";
import { readFollowing, toggleFollow } from "./host_card.js";
import { icon } from "./icons.js";
import "./match.js";
import { needAccount } from "./need_account.js";
import { Room } from "./room.js";
import { moderates } from "./room_sheets.js";
import { router } from "./router.js";
import { shareLink } from "./share_link.js";
import { SessionController, session } from "./session.js";
import { pinnedBar, replyChip } from "./room_bars.js";
import "./seats.js";
import { avatar, sheet } from "./style.js";
import { short, t } from "./strings.js";
import { refused, toast } from "./toast.js";
import { endedScreen, failedScreen, overStyle } from "./watch_over.js";
import { behindChip, watchKey, watchSheets, watchSide } from "./watch_side.js";
import { wordsOver } from "./watch_words.js";
import { watchStyle } from "./watch_style.js";
import "./comments.js";
import "./gift_stage.js";
import "./player.js";
import "./reactions.js";
import "./room_cards.js";

const HEART = "❤️";
const DOUBLE_TAP_MS = 320;
const DOUBLE_TAP_PX = 40;
/** The room needs this long to be called away; shorter dips are not worth words. */
const ROOM_WORDS_MS = 1_500;
const KINDS_SHOWN = 5;
const TEXT_MAX = 200;

export class OnairWatch extends LitElement {
  static properties = {
    streamId: {},
    stream: { state: true },
    playback: { state: true },
    playerState: { state: true },
    roomState: { state: true },
    roomAway: { state: true },
    failure: { state: true },
    ended: { state: true },
    followed: { state: true },
    sheet: { state: true },
    fill: { state: true },
    text: { state: true },
    replyTo: { state: true },
  };

  static styles = [sheet, watchStyle, overStyle];

  constructor() {
    super();
    new SessionController(this);
    this.gifts = new Map();
    this.fill = undefined;
    this.text = "";
  }

  connectedCallback() {
    super.connectedCallback();
    this.wide = matchMedia("(min-width: 900px), (orientation: landscape)");
    this.wide.addEventListener("change", this.#redraw);
    document.addEventListener("visibilitychange", this.#shown);
    addEventListener("keydown", this.#key);
    session.addEventListener("change", this.#accountChanged);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.wide.removeEventListener("change", this.#redraw);
    document.removeEventListener("visibilitychange", this.#shown);
    removeEventListener("keydown", this.#key);
    session.removeEventListener("change", this.#accountChanged);
    this.#close();
  }

  willUpdate(changed) {
    if (changed.has("streamId") && this.streamId) this.#open();
  }

  #redraw = () => this.requestUpdate();

  #key = (event) => {
    const act = this.ended || this.sheet ? undefined : watchKey(event, this);
    if (!act) return;
    event.preventDefault();
    act();
  };

  #shown = () => document.hidden || this.room?.check();

  get player() {
    return this.renderRoot.querySelector("onair-player");
  }

  get comments() {
    return this.renderRoot.querySelector("onair-comments");
  }

  get match() {
    return this.renderRoot.querySelector("onair-match");
  }

  get seats() {
    return this.renderRoot.querySelector("onair-seats");
  }

  /** The programme shows oneself two seconds late: on screen one hears the others at once, and it falls silent. */
  #onScreen = ({ detail: on }) => this.player?.hush(on);

  get reactions() {
    return this.renderRoot.querySelector("onair-reactions");
  }

  // --- coming and going -----------------------------------------------------------------------------------------

  async #open() {
    this.#close();
    this.stream = this.playback = this.failure = this.ended = this.followed = undefined;
    this.since = performance.now();
    this.account = session.me?.id;
    const room = new Room({ api, streamId: this.streamId });
    room.via = new URLSearchParams(location.search).get("via");
    this.room = room;
    this.roomState = room.state;
    room.picture(this.player?.state === "playing");
    room.addEventListener("state", () => this.#roomChanged(room));
    room.addEventListener("ticket", ({ detail }) => this.#ticketed(detail));
    room.addEventListener("snapshot", ({ detail }) => this.#snapshot(detail));
    room.addEventListener("line", ({ detail }) => this.#line(detail.event));
    room.addEventListener("counts", this.#redraw);
    room.addEventListener("me", this.#redraw);
    room.addEventListener("held", ({ detail }) => (detail.state ? toast(t(`held.told.${detail.state}`)) : this.#redraw()));
    room.addEventListener("skipped", ({ detail }) => this.comments?.skipped(detail));
    room.addEventListener("taps", ({ detail }) => this.reactions?.burst(detail));
    room.addEventListener("ended", ({ detail }) => this.#finish(detail));
    giftsById().then((gifts) => {
      this.gifts = gifts;
      this.requestUpdate();
    });
    // Title and host come with the room too: a visitor may not be let to read the stream itself.
    api.get(`/streams/${this.streamId}`).then((stream) => this.#streamRead(room, stream), () => undefined);
    await room.start();
  }

  #close() {
    this.room?.stop();
    this.room = undefined;
    clearTimeout(this.awayTimer);
  }

  #streamRead(room, stream) {
    if (room !== this.room) return;
    this.stream = stream;
    if (stream.state === "replay") return router.go(`/replay/${stream.id}`, { replace: true });
    if (stream.state === "ended") this.#finish({ reason: stream.end_reason });
    this.#readFollowing();
  }

  #readFollowing() {
    if (session.me && this.host) readFollowing(this.host.handle).then((yes) => (this.followed = yes), () => undefined);
  }

  /** Signed in, or out: the room must know us by the right name. */
  #accountChanged = () => {
    if (session.me?.id === this.account) return;
    this.account = session.me?.id;
    this.followed = undefined;
    this.room?.changeAccount();
    this.#readFollowing();
  };

  #roomChanged(room) {
    if (room !== this.room) return;
    this.roomState = room.state;
    clearTimeout(this.awayTimer);
    this.roomAway = this.roomAway && room.state === "reconnecting";
    if (room.state === "reconnecting") this.awayTimer = setTimeout(() => (this.roomAway = true), ROOM_WORDS_MS);
    if (room.state === "stopped" && room.reason) {
      if (room.reason.code === "not_live") this.#finish({});
      else if (room.reason.code === "unauthenticated") this.failure = { ...room.reason, message: room.reason.message, account: true };
      else this.failure = room.reason;
    }
  }

  #ticketed(ticket) {
    // The address holds a token that ends: a player that runs keeps the one it has.
    if (!this.playback || this.needsAddress) this.playback = ticket.playback_url;
    this.needsAddress = false;
  }

  #addressRefused = () => {
    this.needsAddress = true;
    this.room?.renew();
  };

  #snapshot({ reset }) {
    if (reset) this.comments?.clear();
    this.requestUpdate();
  }

  #line(event) {
    this.comments?.add(event);
    if (event.type === "gift") this.renderRoot.querySelector("onair-gift-stage")?.show(event);
    if (event.type === "removed" && event.event_id === this.replyTo?.id) this.replyTo = undefined;
    this.requestUpdate(); // pin, poll, question and settings stand outside the lines
  }

  #finish({ reason }) {
    if (this.ended) return;
    this.ended = { reason, seconds: (performance.now() - this.since) / 1000, viewers: this.room?.viewers };
    this.sheet = undefined;
    this.player?.stop();
    this.room?.stop();
  }

  get host() {
    const host = this.stream?.host ?? this.room?.room?.host;
    return host && { ...host, display_name: host.display_name ?? host.name };
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  #tapped = (event) => {
    if (event.target.closest("button, a, input, form, ol, onair-comments, onair-room-cards, onair-match")) return;
    const { left, top } = this.reactions.getBoundingClientRect();
    const [x, y, at] = [event.clientX - left, event.clientY - top, performance.now()];
    const last = this.lastTap;
    this.lastTap = { x, y, at };
    if (last && at - last.at < DOUBLE_TAP_MS && Math.hypot(x - last.x, y - last.y) < DOUBLE_TAP_PX) {
      this.#react(HEART, () => this.reactions.tapped(HEART, x, y));
    } else if (this.player?.muted) {
      this.player.unmute();
    } else {
      this.renderRoot.querySelector("form input")?.blur();
    }
  };

  #react(kind, show = () => this.reactions.float(kind)) {
    needAccount(this, "react", () => {
      this.room?.react(kind);
      show();
      navigator.vibrate?.(8);
    });
  }

  #comment = (event) => {
    event.preventDefault();
    const text = this.text.trim();
    if (!text) return;
    needAccount(this, "comment", () => this.#send(text));
  };

  async #send(text) {
    const room = this.room;
    if (!room) return;
    const replyTo = this.replyTo;
    this.text = "";
    this.replyTo = undefined;
    try {
      const ack = await room.chat(text, replyTo?.id);
      if (ack.held) toast(t("held.waits"));
      else if (!ack.shown) {
        this.#line({ id: ack.event_id ?? ack.id, type: "chat", text, from: this.#myself(), reply_to: replyTo?.id });
      }
    } catch (error) {
      if (error.code === "closed") return;
      if (!this.text) [this.text, this.replyTo] = [text, replyTo]; // nothing typed is lost
      refused(error.retryAfterMs ? { message: `${error.message} ${t("error.wait_s", { n: Math.ceil(error.retryAfterMs / 1000) })}` } : error);
    }
  }

  #myself() {
    const { id, handle, display_name, avatar_url } = session.me;
    const badges = this.room.me?.role === "moderator" ? ["moderator"] : [];
    return { id, handle, name: display_name, avatar_url, badges };
  }

  #reply = ({ detail }) => {
    this.replyTo = detail;
    this.updateComplete.then(() => this.renderRoot.querySelector("form input")?.focus());
  };

  get #roomSheets() {
    return this.renderRoot.querySelector("onair-room-sheets");
  }

  #openGifts = () => needAccount(this, "gift", () => (this.sheet = "gifts"));

  #giftSent = ({ detail: { gift, ack, combo, times } }) => {
    if (ack.shown) return;
    this.#line({ id: ack.event_id ?? ack.id, type: "gift", gift_id: gift.id, count: 1, repeat_count: times, combo, from: this.#myself() });
  };

  #follow = () => needAccount(this, "follow", () => toggleFollow(this, this.host, this.followed));

  #followChanged = ({ detail }) => {
    this.followed = detail.following;
    if (detail.following) toast(t("followed", { name: this.host.display_name }));
  };

  #share = async () => {
    this.link = await shareLink(this.streamId, this.host?.display_name ?? "", this.title);
    if (this.link) this.sheet = "link"; // no right to the clipboard: show the link to copy
  };

  get #mayFollow() {
    return this.host && !this.followed && this.host.handle !== session.me?.handle;
  }

  get title() {
    return this.stream?.title ?? this.room?.room?.title ?? "";
  }

  // --- showing --------------------------------------------------------------------------------------------------

  get fit() {
    // Of two hosts side by side a phone held upright would show the edge between them.
    const contain = this.wide?.matches || Boolean(this.match?.on);
    return this.fill === undefined ? (contain ? "contain" : "cover") : this.fill ? "cover" : "contain";
  }

  #head() {
    const { host } = this;
    return html`<header>
      <div class="host glass">
        <button class="who" aria-label=${host?.display_name ?? ""} @click=${() => host && (this.sheet = "host")}>
          <span class="ring">${host ? avatar(host, 36) : html`<span class="avatar skeleton"></span>`}</span>
          <span class="names"><b>${host?.display_name ?? " "}</b><small>${this.title}</small></span>
        </button>
        ${this.#mayFollow
          ? html`<button class="follow" @click=${this.#follow}>${t("follow")}</button>`
          : ""}
      </div>
      <span class="spacer"></span>
      <button class="viewers" aria-label=${t("viewers.open", { n: this.room?.viewers ?? 0 })}
        @click=${() => needAccount(this, "viewers", () => this.#roomSheets.show("viewers"))}
        >${icon("eye")}<b>${short(this.room?.viewers)}</b></button
      >
      <button class="round glass" aria-label=${t("watch.leave")} @click=${() => router.back()}>${icon("close")}</button>
    </header>`;
  }

  #kinds() {
    const kinds = this.room?.reactionKinds?.length ? this.room.reactionKinds : [HEART];
    return html`<div class="kinds" role="group">
      ${kinds.slice(0, KINDS_SHOWN).map(
        (kind) => html`<button aria-label=${t("watch.react", { kind })} @click=${() => this.#react(kind)}>
          <span class="emoji" aria-hidden="true">${kind}</span>
        </button>`,
      )}
    </div>`;
  }

  #composer() {
    const { room } = this;
    const off = room?.room?.settings?.comments_on === false;
    const muted = Boolean(room?.me?.muted_until && new Date(room.me.muted_until) > new Date());
    const placeholder = off
      ? t("watch.comments_off")
      : muted
        ? t("watch.muted_you")
        : room?.room?.settings?.followers_only && this.followed === false && !moderates(room)
        ? t("watch.followers_only")
        : t(session.signedIn ? "watch.comment" : "watch.comment_sign_in");
    const total = Object.values(room?.reactions ?? {}).reduce((sum, count) => sum + count, 0);
    return html`<form class=${this.text ? "typing" : ""} @submit=${this.#comment} autocomplete="off">
      <div class="field-box glass">
        <input
          aria-label=${t("watch.comment")}
          placeholder=${placeholder}
          maxlength=${TEXT_MAX}
          enterkeyhint="send"
          .value=${this.text}
          ?disabled=${off || muted}
          @input=${(event) => (this.text = event.target.value)}
        />
        ${this.text.trim()
          ? html`<button class="send" aria-label=${t("watch.send")}>${icon("send")}</button>`
          : ""}
      </div>
      <button type="button" class="round glass gift" aria-label=${t("watch.gift")} @click=${this.#openGifts}>
        ${icon("gift")}
      </button>
      <button type="button" class="round glass share" aria-label=${t("watch.share")} @click=${this.#share}>${icon("share")}</button>
      <button type="button" class="round glass heart" aria-label=${t("watch.react", { kind: HEART })} @click=${() => this.#react(HEART)}>
        ${icon("heart_full")}${total > 0 ? html`<small>${short(total)}</small>` : ""}
      </button>
    </form>`;
  }

  render() {
    if (this.failure) {
      return failedScreen(this.failure, () => needAccount(this, undefined, () => this.#open()));
    }
    const muted = this.player?.muted && !this.ended && ["playing", "buffering"].includes(this.playerState);
    return html`
      <div class="stage ${this.match?.on ? "matched" : ""}" @click=${this.#tapped} ?inert=${Boolean(this.ended)}>
        <onair-player
          .src=${this.playback}
          .fit=${this.fit}
          .label=${this.title}
          .artist=${this.host?.display_name}
          .artwork=${this.stream?.preview_url ?? this.host?.avatar_url}
          @state=${() => {
            this.playerState = this.player.state;
            this.room?.picture(this.playerState === "playing");
            this.requestUpdate();
          }}
          @frame=${({ detail }) => this.room?.mediaFrame(detail)}
          @refused=${this.#addressRefused}
        ></onair-player>
        <div class="veil" aria-hidden="true"></div>
        ${this.ended ? "" : wordsOver(this)}
        ${muted
          ? html`<button class="tap-sound" @click=${() => this.player.unmute()}>${icon("muted")}${t("watch.tap_sound")}</button>`
          : ""}
        <onair-reactions></onair-reactions>
        <onair-gift-stage .gifts=${this.gifts}></onair-gift-stage>
        <onair-room-cards .room=${this.room} .standing=${this.room?.room} .moderates=${moderates(this.room)}></onair-room-cards>
        <onair-seats .room=${this.room} @change=${this.#redraw} @on-screen=${this.#onScreen}></onair-seats>
        <onair-match .room=${this.room} @change=${this.#redraw}></onair-match>
        ${this.#head()} ${watchSide(this, () => this.#roomSheets)} ${behindChip(this)}
        ${this.roomAway && this.playerState === "playing"
          ? html`<p class="room-away" role="status"><span class="spinner"></span>${t("watch.room_reconnecting")}</p>`
          : ""}
      </div>
      <aside ?inert=${Boolean(this.ended)} aria-label=${t("watch.comments")}>
        ${pinnedBar(this.room)}
        <onair-comments
          .gifts=${this.gifts}
          .host=${this.room?.room?.host?.id}
          @reply=${this.#reply}
          @menu=${({ detail }) => this.#roomSheets.show("menu", detail)}
          .hint=${this.host ? t("watch.says_hello", { name: this.host.display_name }) : ""}
        ></onair-comments>
        ${this.replyTo ? replyChip(this.replyTo, () => (this.replyTo = undefined)) : this.#kinds()} ${this.#composer()}
      </aside>
      ${this.ended
        ? endedScreen({ ...this.ended, replay: this.stream?.replay === "off" ? undefined : `/replay/${this.streamId}`, host: this.host, follows: this.#mayFollow ? this.#follow : undefined })
        : ""} ${watchSheets(this, this.#giftSent)}
      <onair-room-sheets .room=${this.room} @reply=${this.#reply}></onair-room-sheets>
    `;
  }

  firstUpdated() {
    // Follow from the head and from the ended screen bubbles to here.
    this.addEventListener("followed", this.#followChanged);
  }
}

customElements.define("onair-watch", OnairWatch);
