// How the steps to going live look.
import { css } from "lit";

export const liveStyle = css`
  :host {
    position: absolute;
    inset: 0;
    display: block;
    overflow: hidden;
    background: var(--ground);
  }
  .page {
    height: 100%;
    max-width: 560px;
    margin: 0 auto;
    padding: 0 max(18px, var(--safe-right)) calc(20px + var(--safe-bottom)) max(18px, var(--safe-left));
    padding-bottom: calc(20px + max(var(--keyboard), var(--safe-bottom)));
    overflow-y: auto;
    overscroll-behavior: contain;
  }
  .bar {
    display: flex;
    align-items: center;
    gap: 8px;
    min-height: 60px;
    padding-top: var(--safe-top);
    margin: 0 -10px;
  }
  .bar h1 {
    flex: 1;
    padding-right: 44px;
    font-size: 1.08rem;
    text-align: center;
  }
  form,
  .checks,
  .notice {
    display: grid;
    gap: 22px;
    padding-top: 18px;
    animation: enter 0.35s var(--ease);
  }
  @keyframes enter {
    from {
      opacity: 0;
      transform: translateX(24px);
    }
  }
  form h2,
  .notice h2 {
    font-size: 1.9rem;
    font-weight: 800;
    letter-spacing: -0.035em;
  }
  form .field input {
    min-height: 60px;
    font-size: 1.1rem;
  }
  fieldset {
    display: flex;
    flex-wrap: wrap;
    gap: 9px;
    margin: 0;
    padding: 0;
    border: 0;
  }
  legend {
    margin-bottom: 10px;
    color: var(--muted);
    font-size: 0.86rem;
    font-weight: 600;
  }
  legend small {
    font-weight: 400;
  }
  .chip {
    min-height: var(--touch);
    padding: 0 18px;
    border: 1.5px solid var(--line);
    border-radius: 22px;
    background: none;
    font-size: 0.94rem;
    font-weight: 600;
    transition:
      background 0.2s,
      color 0.2s;
  }
  .chip[aria-pressed="true"] {
    border-color: transparent;
    background: var(--text);
    color: var(--ground);
  }
  .chip:disabled {
    opacity: 0.5;
  }
  .verdict {
    font-size: 1.25rem;
    font-weight: 700;
    letter-spacing: -0.015em;
  }
  .checks ul {
    display: grid;
    gap: 10px;
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .checks li {
    display: flex;
    gap: 14px;
    min-height: 70px;
    padding: 15px 16px;
    border-radius: 20px;
    background: var(--surface);
  }
  .checks li.skeleton {
    background-color: var(--surface);
  }
  .checks li div {
    flex: 1;
    min-width: 0;
    align-self: center;
  }
  .checks li b {
    display: block;
    font-weight: 650;
  }
  .checks li small {
    color: var(--muted);
    font-size: 0.88rem;
    font-variant-numeric: tabular-nums;
  }
  .checks li p {
    margin-top: 6px;
    font-size: 0.94rem;
  }
  .mark {
    display: grid;
    place-items: center;
    flex: none;
    width: 34px;
    height: 34px;
    border-radius: 50%;
  }
  .mark .icon {
    width: 18px;
    height: 18px;
    stroke-width: 2.6;
  }
  .met .mark {
    background: color-mix(in srgb, var(--good) 18%, transparent);
    color: var(--good);
  }
  .unmet .mark {
    background: color-mix(in srgb, var(--bad) 18%, transparent);
    color: var(--bad);
  }
  progress {
    width: 100%;
    height: 6px;
    margin-top: 10px;
    border: 0;
    border-radius: 3px;
    overflow: hidden;
    background: var(--raised);
    appearance: none;
    -webkit-appearance: none;
  }
  progress::-webkit-progress-bar {
    background: var(--raised);
  }
  progress::-webkit-progress-value {
    border-radius: 3px;
    background: var(--sun);
  }
  progress::-moz-progress-bar {
    background: var(--sun-2);
  }
  .notice p {
    color: var(--muted);
  }
  .notice p b {
    color: var(--text);
  }
  .notice .live-badge {
    width: fit-content;
  }
  .glass-page {
    position: absolute;
    inset: 0;
    background: #08050d;
    color: #fff;
    color-scheme: dark;
  }
  .own {
    position: absolute;
    inset: 0;
    width: 100%;
    height: 100%;
    object-fit: cover;
    background: #08050d;
  }
  .own.mirror {
    transform: scaleX(-1);
  }
  .veil {
    position: absolute;
    inset: 0;
    pointer-events: none;
    background: linear-gradient(#08050db3, transparent 22%, transparent 48%, #08050de6);
  }
  .over-video {
    position: absolute;
    inset: 0 0 auto;
    margin: 0;
    padding: var(--safe-top) 12px 0;
  }
  .over-video h1 {
    padding: 0;
  }
  footer {
    position: absolute;
    inset: auto 0 0;
    display: grid;
    gap: 12px;
    max-width: 560px;
    margin: 0 auto;
    padding: 0 20px calc(24px + var(--safe-bottom));
  }
  footer .title {
    font-size: 1.5rem;
    font-weight: 800;
    letter-spacing: -0.025em;
    line-height: 1.15;
    overflow-wrap: anywhere;
  }
  footer .hint {
    min-height: 2.6em;
    color: #ffffffd1;
    font-size: 0.94rem;
  }
  .glass-page .refusal {
    background: #4a0a1ee6;
    color: #ffd9df;
  }
  .meter {
    display: flex;
    align-items: center;
    gap: 5px;
    margin-bottom: 6px;
  }
  .meter i {
    flex: 1;
    height: 8px;
    border-radius: 4px;
    background: #ffffff33;
    transition: background 0.1s;
  }
  .meter i.on {
    background: #5fe0a5;
  }
  .meter i.hot {
    background: #ffc46b;
  }
  .countdown {
    position: absolute;
    inset: 0;
    display: grid;
    place-items: center;
    padding-bottom: 18%;
    pointer-events: none;
  }
  .countdown b {
    font-size: 9rem;
    font-weight: 850;
    text-shadow: 0 8px 50px #000a;
    animation: count 0.8s var(--ease);
  }
  @keyframes count {
    from {
      transform: scale(1.8);
      opacity: 0;
    }
  }
  .summary {
    display: grid;
    align-content: center;
  }
  .done {
    display: grid;
    gap: 6px;
    padding: 30px 0;
    text-align: center;
    animation: enter 0.4s var(--ease);
  }
  .done h1 {
    font-size: 2.2rem;
    font-weight: 850;
    letter-spacing: -0.04em;
  }
  .kicker {
    color: var(--muted);
    font-weight: 600;
    overflow-wrap: anywhere;
  }
  .time {
    display: grid;
    margin: 18px 0 20px;
  }
  .time b {
    width: fit-content;
    margin: 0 auto;
    background: var(--sun);
    background-clip: text;
    -webkit-background-clip: text;
    color: transparent;
    font-size: 4.2rem;
    font-weight: 850;
    letter-spacing: -0.05em;
    line-height: 1.1;
    font-variant-numeric: tabular-nums;
  }
  @media (prefers-color-scheme: light) {
    .time b {
      background: none;
      color: var(--text);
    }
  }
  .time span {
    color: var(--muted);
    font-size: 0.9rem;
  }
  .done dl {
    display: grid;
    grid-template-columns: repeat(3, 1fr);
    gap: 10px;
    margin: 0 0 22px;
  }
  .done dl div {
    display: grid;
    gap: 2px;
    align-content: center;
    min-height: 86px;
    padding: 10px 6px;
    border-radius: 20px;
    background: var(--surface);
  }
  .done dl .new_followers {
    grid-column: span 2;
  }
  .done dl .new_followers,
  .done dl .shares {
    min-height: 72px;
  }
  .done dd {
    display: flex;
    align-items: center;
    justify-content: center;
    gap: 5px;
    margin: 0;
    font-size: 1.45rem;
    font-weight: 800;
    font-variant-numeric: tabular-nums;
  }
  .done dd .icon {
    width: 20px;
    height: 20px;
  }
  .done dt {
    color: var(--muted);
    font-size: 0.82rem;
  }
`;
