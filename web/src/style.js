// Styles that every component shares: buttons, fields, badges, avatars. Colours come from main.css.
import { css, html } from "lit";

/** A screen that is one page, as high as it needs and scrolling by itself. What differs stands in the screen's own style. */
export const scrollingPage = css`
  :host {
    display: block;
    overflow-y: auto;
    overscroll-behavior: contain;
  }
  .page {
    max-width: 620px;
    margin: 0 auto;
    padding: calc(14px + var(--safe-top)) 18px 30px;
  }
`;

export const sheet = css`
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  :host {
    font-family: var(--font);
  }
  [hidden] {
    display: none !important;
  }
  h1,
  h2,
  h3,
  p {
    margin: 0;
  }
  h1,
  h2 {
    letter-spacing: -0.02em;
    line-height: 1.15;
    text-wrap: balance;
  }
  button,
  input,
  select,
  textarea {
    font: inherit;
    color: inherit;
  }
  button {
    cursor: pointer;
    touch-action: manipulation;
    user-select: none;
    -webkit-user-select: none;
  }
  button:disabled {
    cursor: default;
  }
  a {
    color: inherit;
  }
  :focus-visible {
    outline: 3px solid var(--sun-1);
    outline-offset: 2px;
  }
  .icon {
    display: block;
    flex: none;
  }
  .emoji {
    font-family: var(--emoji);
    font-style: normal;
    line-height: 1;
  }
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 8px;
    min-height: 50px;
    padding: 0 22px;
    border: 0;
    border-radius: 25px;
    background: var(--raised);
    color: var(--text);
    font-weight: 650;
    text-decoration: none;
    transition:
      transform 0.15s var(--ease),
      opacity 0.15s;
  }
  .button:active:not(:disabled) {
    transform: scale(0.97);
  }
  .button:disabled {
    opacity: 0.55;
  }
  .button.act {
    background: var(--sun);
    color: var(--on-sun);
  }
  .button.danger {
    background: var(--live);
    color: #fff;
  }
  .button.plain {
    background: none;
  }
  .button.wide {
    width: 100%;
  }
  .button.small {
    min-height: var(--touch);
    padding: 0 16px;
    font-size: 0.9rem;
  }
  .round {
    display: inline-grid;
    place-items: center;
    flex: none;
    width: var(--touch);
    height: var(--touch);
    padding: 0;
    border: 0;
    border-radius: 50%;
    background: none;
    color: inherit;
    transition: transform 0.15s var(--ease);
  }
  .round:active {
    transform: scale(0.9);
  }
  .round.glass.count {
    background: var(--sun);
    color: var(--on-sun);
    font-size: 1.05rem;
  }
  .round.glass {
    background: #120b1f8c;
    backdrop-filter: blur(14px);
    -webkit-backdrop-filter: blur(14px);
    color: #fff;
  }
  .field {
    display: grid;
    gap: 6px;
    font-size: 0.86rem;
    font-weight: 600;
    color: var(--muted);
  }
  .field small {
    font-weight: 400;
  }
  .field input,
  .field select {
    width: 100%;
    min-height: 52px;
    padding: 0 16px;
    border: 1.5px solid var(--line);
    border-radius: 16px;
    background: var(--surface);
    color: var(--text);
    font-size: 1rem;
    font-weight: 500;
  }
  .field input:focus,
  .field select:focus {
    outline: none;
    border-color: var(--sun-2);
  }
  .refusal {
    display: flex;
    gap: 10px;
    align-items: flex-start;
    padding: 12px 14px;
    border-radius: 14px;
    background: color-mix(in srgb, var(--bad) 14%, transparent);
    color: var(--bad);
    font-size: 0.92rem;
    font-weight: 550;
  }
  .refusal .icon {
    width: 20px;
    height: 20px;
  }
  .live-badge {
    display: inline-flex;
    align-items: center;
    gap: 5px;
    height: 22px;
    padding: 0 8px;
    border-radius: 7px;
    background: var(--live);
    color: #fff;
    font-size: 0.7rem;
    font-weight: 800;
    letter-spacing: 0.06em;
  }
  .live-badge::before {
    content: "";
    width: 6px;
    height: 6px;
    border-radius: 50%;
    background: #fff;
    animation: pulse 1.6s infinite;
  }
  @keyframes pulse {
    50% {
      opacity: 0.25;
    }
  }
  .avatar {
    display: inline-grid;
    place-items: center;
    flex: none;
    overflow: hidden;
    border-radius: 50%;
    color: #fff;
    font-weight: 750;
    text-transform: uppercase;
    object-fit: cover;
  }
  .spinner {
    width: 34px;
    height: 34px;
    border-radius: 50%;
    background: conic-gradient(from 90deg, transparent 15%, var(--sun-1), var(--sun-3));
    mask: radial-gradient(farthest-side, transparent calc(100% - 4px), #000 calc(100% - 3px));
    -webkit-mask: radial-gradient(farthest-side, transparent calc(100% - 4px), #000 calc(100% - 3px));
    animation: turn 0.9s linear infinite;
  }
  @keyframes turn {
    to {
      transform: rotate(1turn);
    }
  }
  .skeleton {
    background: linear-gradient(100deg, var(--surface) 32%, color-mix(in srgb, var(--raised), var(--text) 7%) 50%, var(--surface) 68%) 0 0 / 300% 100%;
    animation: sweep 1.5s infinite;
  }
  @keyframes sweep {
    from {
      background-position: 100% 0;
    }
    to {
      background-position: -50% 0;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    *,
    *::before,
    *::after {
      animation-duration: 0.01ms !important;
      animation-iteration-count: 1 !important;
      transition-duration: 0.01ms !important;
      scroll-behavior: auto !important;
    }
  }
`;

/** Dark pairs for people without a picture: white text on each keeps 4.5:1. */
const PAIRS = [
  ["#b3261e", "#6d1b7b"],
  ["#8a3ab9", "#3f2b96"],
  ["#00695c", "#0b3d5c"],
  ["#b23a6f", "#5b2a86"],
  ["#9a4a00", "#7a1f3d"],
  ["#1565a8", "#4a2c8f"],
];

/** A stable pair of colours for a person. */
export function hues(text = "") {
  let sum = 0;
  for (const character of text) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return PAIRS[sum % PAIRS.length];
}

const name = (account) => account?.display_name ?? account?.name ?? account?.handle ?? "?";

/** A person's picture, or their initial on their colours. Decorative: the name stands beside it. */
export function avatar(account, size) {
  const box = `width:${size}px;height:${size}px;font-size:${Math.round(size * 0.42)}px`;
  if (account?.avatar_url) return html`<img class="avatar" src=${account.avatar_url} alt="" style=${box} loading="lazy" />`;
  const [from, to] = hues(account?.handle ?? name(account));
  return html`<span class="avatar" aria-hidden="true" style="${box};background:linear-gradient(135deg,${from},${to})"
    >${[...name(account)][0]}</span
  >`;
}

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
