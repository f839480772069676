// <onair-comments>: lines that rise at the bottom and fade at the top. Stays at the newest unless the person scrolled up.
import { LitElement, css, html } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "./icons.js";
import { avatar, sheet } from "./style.js";
import { t } from "./strings.js";

const LINES_MAX = 150;
/** Screen readers get a digest this often: one announcement a comment would never end in a busy room. */
const SPOKEN_EVERY_MS = 6_000;
const SPOKEN_MAX = 3;
const AT_BOTTOM_PX = 40;
/** A finger that rests this long asks for the menu; Safari has no context menu event for touch. */
const LONG_PRESS_MS = 450;
const LONG_PRESS_PX = 10;

/** Event types that are lines; others change the room or are for somebody else. */
const SHOWN = new Set(["chat", "gift", "join", "follow", "share", "milestone", "seat", "skipped"]);

/**
 * @fires reply - detail: the comment that was tapped
 * @fires menu - detail: the comment whose menu is asked for (long press, right click, Enter)
 */
export class OnairComments extends LitElement {
  static properties = {
    lines: { state: true },
    away: { state: true },
    spoken: { state: true },
    gifts: { attribute: false },
    hint: {},
    /** The host's account id: their own lines carry no badge of it. */
    host: {},
  };

  static styles = [
    sheet,
    css`
      :host {
        position: relative;
        display: grid;
        min-height: 0;
      }
      ol {
        display: flex;
        flex-direction: column;
        gap: 4px;
        min-height: 0;
        margin: 0;
        padding: 28px 0 2px;
        overflow-y: auto;
        overscroll-behavior: contain;
        list-style: none;
        scrollbar-width: none;
        mask-image: linear-gradient(transparent, #000 30%);
        -webkit-mask-image: linear-gradient(transparent, #000 30%);
      }
      ol::-webkit-scrollbar {
        display: none;
      }
      li:first-child {
        margin-top: auto;
      }
      li {
        display: flex;
        /* A line keeps its height: the list scrolls rather than squeeze it. */
        flex: none;
        gap: 8px;
        align-items: flex-start;
        width: fit-content;
        max-width: 100%;
        padding: 3px 0;
        font-size: 0.94rem;
        line-height: 1.3;
        color: #fff;
        text-shadow: 0 1px 3px #000c, 0 0 1px #0009;
        animation: rise 0.28s var(--ease);
      }
      @keyframes rise {
        from {
          transform: translateY(18px);
          opacity: 0;
        }
      }
      li .avatar {
        margin-top: 1px;
        text-shadow: none;
      }
      li p {
        min-width: 0;
        overflow-wrap: anywhere;
      }
      .who {
        display: block;
        color: #ffffffc7;
        font-size: 0.82rem;
        font-weight: 650;
      }
      .badge {
        display: inline-block;
        margin-left: 5px;
        padding: 0 6px;
        border-radius: 6px;
        background: var(--sun);
        color: var(--on-sun);
        font-size: 0.68rem;
        font-weight: 750;
        line-height: 17px;
        text-shadow: none;
        vertical-align: 1px;
      }
      .badge.moderator {
        background: #c9e7ff;
        color: #0c2c45;
      }
      li.seat,
      li.join,
      li.follow,
      li.share {
        color: #ffffffc7;
        font-size: 0.85rem;
      }
      li.seat .who,
      li.join .who,
      li.follow .who,
      li.share .who {
        display: inline;
      }
      li.gift {
        padding: 5px 14px 5px 5px;
        border-radius: 20px;
        background: linear-gradient(90deg, #c91c5ccc, #a8482e80 70%, transparent);
      }
      li.gift .emoji {
        font-size: 1.25em;
        vertical-align: -3px;
      }
      li.gift b {
        color: #ffe3a3;
        font-variant-numeric: tabular-nums;
      }
      li.hint,
      li.skipped {
        color: #ffffffd1;
      }
      li.skipped {
        font-size: 0.85rem;
        font-style: italic;
      }
      li.milestone {
        padding: 5px 14px;
        border-radius: 20px;
        background: linear-gradient(90deg, #7a4dffb3, #ff4f8b80 70%, transparent);
        font-weight: 700;
      }
      li.chat {
        min-height: var(--touch);
        padding-right: 8px;
        border-radius: 14px;
        cursor: pointer;
        -webkit-touch-callout: none;
      }
      li.chat:focus-visible {
        outline: 2px solid #ffc46b;
        outline-offset: -2px;
        background: #120b1f99;
      }
      .quoted {
        display: block;
        max-width: 100%;
        margin: 1px 0 2px;
        padding-left: 7px;
        border-left: 2px solid #ffb59c;
        overflow: hidden;
        color: #ffffffc7;
        font-size: 0.82rem;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .newest {
        position: absolute;
        inset: auto auto 6px 0;
        display: inline-flex;
        align-items: center;
        gap: 4px;
        min-height: var(--touch);
        padding: 0 16px 0 10px;
        border: 0;
        border-radius: 22px;
        background: #f7f3fb;
        color: #1c1322;
        font-size: 0.86rem;
        font-weight: 650;
      }
      .newest .icon {
        width: 20px;
        height: 20px;
      }
    `,
  ];

  constructor() {
    super();
    this.gifts = new Map();
    this.clear();
  }

  connectedCallback() {
    super.connectedCallback();
    this.speaker = setInterval(() => this.#speak(), SPOKEN_EVERY_MS);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.speaker);
  }

  clear() {
    this.lines = [];
    this.unspoken = [];
    this.away = false;
  }

  /** Takes an event of the room; those that are no line are left alone. */
  add(event) {
    if (event.type === "removed") return this.#drop(({ id }) => id === event.event_id);
    // Somebody banned leaves nothing behind on the glass.
    if (event.type === "muted" && event.banned) return this.#drop(({ type, from }) => type === "chat" && from?.id === event.account);
    if (!SHOWN.has(event.type) || this.lines.some(({ id }) => id === event.id)) return undefined;
    // Who asks and who leaves is news to the host, whose sheet shows it.
    if (event.type === "seat" && event.state !== "accepted") return undefined;
    const last = this.lines.at(-1);
    const sameRun = event.type === "gift" && event.combo && last?.combo === event.combo;
    // One line a run of gifts; and arrivals replace each other, so that they do not push comments away.
    const replaces = sameRun || (event.type === "join" && last?.type === "join");
    const kept = replaces ? this.lines.slice(0, -1) : this.lines;
    this.lines = [...kept, sameRun ? { ...event, key: last.key ?? last.id } : event].slice(-LINES_MAX);
    if (event.type === "chat") this.unspoken.push(event);
    return undefined;
  }

  /** Comments that the room left out of this screen's frames; counts up while nothing else comes. */
  skipped(count) {
    const last = this.lines.at(-1);
    if (last?.type !== "skipped") this.add({ type: "skipped", id: crypto.randomUUID(), count });
    else this.lines = [...this.lines.slice(0, -1), { ...last, count: last.count + count }];
  }

  #drop(gone) {
    this.lines = this.lines.filter((line) => !gone(line));
    this.unspoken = this.unspoken.filter((line) => !gone(line));
  }

  #speak() {
    if (this.unspoken.length === 0) return;
    const last = this.unspoken.slice(-SPOKEN_MAX).map((event) => `${event.from?.name}: ${event.text}`);
    const unsaid = this.unspoken.length - last.length;
    this.spoken = [...(unsaid ? [t("watch.skipped", { n: unsaid })] : []), ...last].join(". ");
    this.unspoken = [];
  }

  // --- acting on a comment --------------------------------------------------------------------------------------

  #comment(event) {
    const id = event.target.closest?.("li.chat")?.dataset.id;
    return id === undefined ? undefined : this.lines.find((line) => line.id === id);
  }

  #tell(type, detail) {
    if (detail) this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #pressed = (event) => {
    clearTimeout(this.press?.timer);
    this.asked = undefined; // another press, another question: who clicks twice within a second means it
    const comment = this.#comment(event);
    if (!comment || event.button !== 0) return;
    const timer = setTimeout(() => this.#menu(comment), LONG_PRESS_MS);
    this.press = { x: event.clientX, y: event.clientY, timer };
  };

  #moved = ({ clientX, clientY }) => {
    const { press } = this;
    if (press && Math.hypot(clientX - press.x, clientY - press.y) > LONG_PRESS_PX) clearTimeout(press.timer);
  };

  #lifted = () => clearTimeout(this.press?.timer);

  #menu(comment) {
    clearTimeout(this.press?.timer);
    if (this.asked && performance.now() - this.asked < 2 * LONG_PRESS_MS) return; // the browser and we both noticed
    this.asked = performance.now();
    navigator.vibrate?.(12);
    this.#tell("menu", comment);
  }

  #clicked = (event) => {
    // The finger that asked for the menu is still to be lifted: that is no tap.
    if (this.asked && performance.now() - this.asked < 2 * LONG_PRESS_MS) return;
    this.#tell("reply", this.#comment(event));
  };

  #context = (event) => {
    const comment = this.#comment(event);
    if (!comment) return;
    event.preventDefault();
    this.#menu(comment);
  };

  /** The list is one stop of the tab key; arrows go from comment to comment, Enter opens the menu. */
  #key = (event) => {
    const comments = [...this.list.querySelectorAll("li.chat")];
    const at = comments.indexOf(event.target.closest("li.chat"));
    const next = { ArrowUp: at < 0 ? comments.length - 1 : Math.max(0, at - 1), ArrowDown: at + 1, Home: 0, End: comments.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      if (at < 0) return;
      event.preventDefault();
      this.#tell("menu", this.#comment(event));
    } else if (next !== undefined && comments[next]) {
      event.preventDefault();
      comments[next].focus();
    }
  };

  get list() {
    return this.renderRoot.querySelector("ol");
  }

  #scrolled = () => {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    this.away = scrollHeight - scrollTop - clientHeight > AT_BOTTOM_PX;
  };

  #newest = () => {
    this.list.scrollTop = this.list.scrollHeight;
    this.away = false;
  };

  updated(changed) {
    if (changed.has("lines") && !this.away) this.list.scrollTop = this.list.scrollHeight;
  }

  #who({ from }) {
    const hosts = from?.id !== undefined && from.id === this.host;
    const badge = hosts ? "host" : ["host", "moderator"].find((each) => from?.badges?.includes(each));
    return html`<span class="who"
      >${from?.name ?? from?.handle}${badge ? html`<span class="badge ${badge}">${t(`badge.${badge}`)}</span>` : ""}</span
    >`;
  }

  #line(event) {
    if (event.type === "skipped") return html`<li class="skipped"><p>${t("watch.skipped", { n: event.count })}</p></li>`;
    if (event.type === "milestone") {
      return html`<li class="milestone"><p>🎉 ${t(`milestone.${event.kind}`, { n: event.value }, t("line.milestone"))}</p></li>`;
    }
    const words = { chat: () => this.#said(event), gift: () => this.#gift(event) }[event.type] ?? (() => t(`line.${event.type}`));
    if (event.type === "chat") {
      const name = event.from?.name ?? event.from?.handle;
      return html`<li class="chat" data-id=${event.id} tabindex="-1" aria-label=${t("comment.actions", { name, text: event.text })}>
        ${avatar(event.from, 30)}
        <p>${this.#who(event)} ${words()}</p>
      </li>`;
    }
    return html`<li class=${event.type} data-id=${event.id}>
      ${event.type === "gift" ? avatar(event.from, 30) : ""}
      <p>${this.#who(event)} ${words()}</p>
    </li>`;
  }

  #said(event) {
    const quoted = event.reply_to && this.lines.find(({ id }) => id === event.reply_to);
    if (!quoted) return event.text;
    return html`<span class="quoted">${quoted.from?.name}: ${quoted.text}</span>${event.text}`;
  }

  #gift(event) {
    const gift = this.gifts.get(event.gift_id);
    const times = event.repeat_count ?? event.count;
    return html`${t("line.gift", { gift: gift?.name ?? event.gift_id })} <span class="emoji">${gift?.emoji ?? "🎁"}</span>
      ${times > 1 ? html`<b>×${times}</b>` : ""}`;
  }

  render() {
    return html`
      <ol tabindex="0" role="log" aria-live="off" aria-label=${t("watch.comments")} 
        @scroll=${this.#scrolled} @click=${this.#clicked} @contextmenu=${this.#context} @keydown=${this.#key}
        @pointerdown=${this.#pressed} @pointermove=${this.#moved} @pointerup=${this.#lifted} @pointercancel=${this.#lifted}
      >
        ${this.hint ? html`<li class="hint"><p>${this.hint}</p></li>` : ""}
        ${repeat(
          this.lines,
          (event) => event.key ?? event.id,
          (event) => this.#line(event),
        )}
      </ol>
      ${this.away
        ? html`<button class="newest" @click=${this.#newest}>${icon("down")}${t("watch.new_comments")}</button>`
        : ""}
      <div class="unseen" aria-live="polite">${this.spoken ?? ""}</div>
    `;
  }
}

customElements.define("onair-comments", OnairComments);
