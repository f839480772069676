// <onair-gift-stage>: what everybody sees when a gift arrives: a banner for small ones, a flight for larger ones, the
// whole glass for the great ones. One after the other, the dearest first.
import { LitElement, css, html } from "lit";
import { avatar, reducedMotion, sheet } from "./style.js";
import { t } from "./strings.js";

const RANK = { small: 0, medium: 1, large: 2, epic: 3 };
const SHOWN_MS = { small: 2_600, medium: 3_000, large: 3_800, epic: 5_200 };
const QUEUE_MAX = 20;
const SPARKS = 26;

export class OnairGiftStage extends LitElement {
  static properties = { gifts: { attribute: false }, now: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        position: absolute;
        inset: 0;
        overflow: hidden;
        pointer-events: none;
        color: #fff;
      }
      .banner {
        position: absolute;
        left: 12px;
        bottom: var(--stage-bottom, 44%);
        display: flex;
        align-items: center;
        gap: 10px;
        max-width: calc(100% - 24px);
        padding: 6px 18px 6px 6px;
        border-radius: 32px;
        background: linear-gradient(90deg, #d21a5df2, #bd3a5ceb 60%, #a8482ed9);
        box-shadow: 0 6px 26px #0006;
        animation: slide 0.5s var(--spring);
        text-shadow: 0 1px 3px #5c0a2099;
      }
      @keyframes slide {
        from {
          transform: translateX(-110%);
        }
      }
      .banner b,
      .banner small {
        display: block;
        max-width: 150px;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .banner small {
        font-size: 0.8rem;
        font-weight: 600;
      }
      .banner .emoji {
        font-size: 46px;
        margin: -10px 0;
        text-shadow: none;
        filter: drop-shadow(0 4px 8px #0005);
      }
      .times {
        font-size: 1.9rem;
        font-weight: 850;
        font-style: italic;
        letter-spacing: -0.03em;
        font-variant-numeric: tabular-nums;
        animation: thump 0.3s var(--spring);
      }
      @keyframes thump {
        from {
          transform: scale(1.9);
        }
      }
      .flight {
        position: absolute;
        inset: 0 0 26%;
        display: grid;
        place-items: center;
      }
      .flight .emoji {
        font-size: 120px;
        filter: drop-shadow(0 12px 28px #0008);
        animation: arrive 0.9s var(--spring), hover 2.2s 0.9s ease-in-out infinite;
      }
      .large .flight .emoji {
        font-size: 168px;
      }
      .epic .flight .emoji {
        font-size: 210px;
      }
      @keyframes arrive {
        from {
          transform: translateY(60vh) scale(0.3) rotate(-30deg);
          opacity: 0;
        }
      }
      @keyframes hover {
        50% {
          transform: translateY(-16px) rotate(4deg);
        }
      }
      .glow {
        position: absolute;
        inset: 0;
        opacity: 0;
        background: radial-gradient(circle at 50% 38%, #ffc46b8c, #ff4f8b4d 38%, transparent 68%);
        animation: glow 3.6s ease-in-out;
      }
      .epic .glow {
        background: radial-gradient(circle at 50% 38%, #ffe3a3b3, #ff4f8b8c 34%, #120b1fd9 78%);
        animation-duration: 5s;
      }
      @keyframes glow {
        20%,
        75% {
          opacity: 1;
        }
      }
      .rays {
        position: absolute;
        left: 50%;
        top: 37%;
        width: 180vmax;
        aspect-ratio: 1;
        translate: -50% -50%;
        background: repeating-conic-gradient(#fff2 0 7deg, transparent 7deg 20deg);
        mask: radial-gradient(#000, transparent 62%);
        -webkit-mask: radial-gradient(#000, transparent 62%);
        animation: spin 26s linear infinite, glow 5s ease-in-out;
        opacity: 0;
      }
      @keyframes spin {
        to {
          rotate: 1turn;
        }
      }
      .spark {
        position: absolute;
        left: 50%;
        top: 37%;
        width: 9px;
        height: 9px;
        border-radius: 50% 0;
        background: var(--tint);
        opacity: 0;
        animation: spark 1.7s 0.45s var(--ease);
      }
      @keyframes spark {
        8% {
          opacity: 1;
        }
        from {
          transform: rotate(var(--turn)) translateX(20px);
        }
        to {
          transform: rotate(var(--turn)) translateX(var(--far)) rotate(200deg);
          opacity: 0;
        }
      }
    `,
  ];

  #queue = [];

  constructor() {
    super();
    this.gifts = new Map();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.timer);
    this.#queue = [];
    this.now = undefined;
  }

  /** Takes a gift event. A run of the same gift counts up in place. */
  show(event) {
    const gift = this.gifts.get(event.gift_id) ?? { id: event.gift_id, name: event.gift_id, emoji: "🎁", tier: "small" };
    const item = { event, gift, times: event.repeat_count ?? event.count };
    const sameRun = ({ event: other }) => event.combo && other.combo === event.combo;
    if (this.now && sameRun(this.now)) {
      this.now = { ...this.now, times: item.times };
      this.#hold(this.now.gift.tier);
      return;
    }
    const waiting = this.#queue.find(sameRun);
    if (waiting) {
      waiting.times = item.times;
    } else {
      this.#queue.push(item);
      this.#queue.sort((a, b) => RANK[b.gift.tier] - RANK[a.gift.tier]);
      this.#queue.length = Math.min(this.#queue.length, QUEUE_MAX);
    }
    if (!this.now) this.#next();
  }

  #next = () => {
    this.now = this.#queue.shift();
    if (this.now) this.#hold(this.now.gift.tier);
  };

  #hold(tier) {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.#next, SHOWN_MS[tier] ?? SHOWN_MS.small);
  }

  #sparks() {
    const tints = ["#ffe3a3", "#ff9ab8", "#fff", "#ffb59c"];
    return Array.from({ length: SPARKS }, (_, n) => {
      const far = 110 + ((n * 67) % 190);
      return html`<i class="spark" style="--turn:${(n * 360) / SPARKS}deg;--far:${far}px;--tint:${tints[n % 4]}"></i>`;
    });
  }

  render() {
    if (!this.now) return "";
    const { event, gift, times } = this.now;
    const rank = RANK[gift.tier] ?? 0;
    return html`<div class=${gift.tier} aria-hidden="true">
      ${rank >= 2 ? html`<div class="glow"></div>` : ""} ${rank >= 3 ? html`<div class="rays"></div>` : ""}
      ${rank >= 1 ? html`<div class="flight"><span class="emoji">${gift.emoji}</span></div>` : ""}
      ${rank >= 2 && !reducedMotion() ? this.#sparks() : ""}
      <div class="banner">
        ${avatar(event.from, 44)}
        <div><b>${event.from?.name}</b><small>${t("line.gift", { gift: gift.name })}</small></div>
        <span class="emoji">${gift.emoji}</span>
        ${times > 1 ? [times].map((n) => html`<span class="times" data-times=${n}>×${n}</span>`) : ""}
      </div>
    </div>`;
  }
}

customElements.define("onair-gift-stage", OnairGiftStage);
