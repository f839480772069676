// Onair's icons: drawn for this page, 24×24, stroked in the text's colour unless they stand for money.
import { html, svg } from "lit";

const strokes = {
  home: svg`<path d="M3.5 11.2 12 4l8.5 7.2"/><path d="M5.6 9.8V20h12.8V9.8"/><path d="M10 20v-5.2h4V20"/>`,
  following: svg`<circle cx="9" cy="8" r="3.6"/><path d="M2.8 19.4c.6-3.6 3.1-5.6 6.2-5.6 1.6 0 3 .5 4.1 1.5"/><path d="M17.6 20.2s-3.6-2-3.6-4.4c0-2.1 2.6-2.7 3.6-.9 1-1.8 3.6-1.2 3.6.9 0 2.4-3.6 4.4-3.6 4.4Z"/>`,
  bell: svg`<path d="M6 16.5V11a6 6 0 0 1 12 0v5.5l1.6 2H4.4Z"/><path d="M10 21h4M12 3.2V5"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  me: svg`<circle cx="12" cy="8.2" r="4"/><path d="M4.3 20c.8-4.2 3.9-6.4 7.7-6.4s6.9 2.2 7.7 6.4"/>`,
  close: svg`<path d="m6 6 12 12M18 6 6 18"/>`,
  back: svg`<path d="M14.5 5 7.5 12l7 7"/>`,
  chevron: svg`<path d="m9.5 5 7 7-7 7"/>`,
  heart: svg`<path d="M12 20.2S3.5 15.5 3.5 9.4c0-4.7 6-6.2 8.5-2 2.5-4.2 8.5-2.7 8.5 2 0 6.1-8.5 10.8-8.5 10.8Z"/>`,
  gift: svg`<path d="M4 11.5h16V20H4zM3 7.8h18v3.7H3zM12 7.8V20"/><path d="M12 7.6C8.5 7.6 6.8 6.2 7 4.7c.3-1.9 4-1.9 5 2.9 1-4.8 4.7-4.8 5-2.9.2 1.5-1.5 2.9-5 2.9Z"/>`,
  share: svg`<path d="M13.6 5.2v4C7.2 9.8 4.4 13.6 4 19c2.3-3.4 5.2-4.7 9.6-4.8v4.2L20.8 12Z"/>`,
  sound: svg`<path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z"/><path d="M15.3 9.2a4 4 0 0 1 0 5.6M17.9 6.6a7.6 7.6 0 0 1 0 10.8"/>`,
  muted: svg`<path d="M4 9.5v5h3.5L12 18.5v-13L7.5 9.5Z"/><path d="m15.8 9.6 5 4.8m0-4.8-5 4.8"/>`,
  eye: svg`<path d="M2.5 12S6 5.8 12 5.8 21.5 12 21.5 12 18 18.2 12 18.2 2.5 12 2.5 12Z"/><circle cx="12" cy="12" r="2.8"/>`,
  send: svg`<path d="M4.2 11.9 20 4.5l-4.4 15.2-4-5.9Z"/><path d="M11.6 13.8 20 4.5"/>`,
  flip: svg`<path d="M4.5 10.5A7.7 7.7 0 0 1 18 7.2l1.5 1.7M19.5 13.5A7.7 7.7 0 0 1 6 16.8l-1.5-1.7"/><path d="M19.8 4.8v4.3h-4.3M4.2 19.2v-4.3h4.3"/>`,
  mic: svg`<rect x="9" y="3.5" width="6" height="11" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"/>`,
  mic_off: svg`<path d="M9 9.5v2a3 3 0 0 0 4.6 2.5M15 11V6.5a3 3 0 0 0-5.8-1.1"/><path d="M5.5 11.5a6.5 6.5 0 0 0 10 5.5M18.5 11.5c0 1-.2 1.9-.6 2.7M12 18v3M4 4l16 16"/>`,
  camera: svg`<rect x="3" y="6.5" width="12.5" height="11" rx="2.5"/><path d="m15.5 10.7 5.5-3v8.6l-5.5-3"/>`,
  camera_off: svg`<path d="M9.5 6.5H13a2.5 2.5 0 0 1 2.5 2.5v1.7l5.5-3v8.6M15.5 15.3A2.5 2.5 0 0 1 13 17.5H5.5A2.5 2.5 0 0 1 3 15V9c0-1 .5-1.8 1.3-2.2M4 4l16 16"/>`,
  check: svg`<path d="m5 12.6 4.6 4.6L19.2 7"/>`,
  alert: svg`<path d="M12 4 2.8 19.5h18.4Z"/><path d="M12 10v4.3M12 17v.1"/>`,
  refresh: svg`<path d="M19.5 12a7.5 7.5 0 1 1-2.3-5.4L19.5 9"/><path d="M19.7 4.5V9h-4.5"/>`,
  fit: svg`<path d="M4 9.5V5.5A1.5 1.5 0 0 1 5.5 4h4M14.5 4h4A1.5 1.5 0 0 1 20 5.5v4M20 14.5v4a1.5 1.5 0 0 1-1.5 1.5h-4M9.5 20h-4A1.5 1.5 0 0 1 4 18.5v-4"/>`,
  tune: svg`<path d="M4 7.5h9M18 7.5h2M4 16.5h2M11 16.5h9"/><circle cx="15.5" cy="7.5" r="2.5"/><circle cx="8.5" cy="16.5" r="2.5"/>`,
  small_window: svg`<rect x="3" y="5" width="18" height="14" rx="2.5"/><rect x="11.5" y="11.5" width="7" height="5" rx="1.2"/>`,
  screen: svg`<rect x="3" y="4.5" width="18" height="12" rx="2.5"/><path d="M12 13.5v-6M9 10.2l3-3 3 3M8.5 20h7"/>`,
  play: svg`<path d="M8 5.2v13.6L19 12Z"/>`,
  pause: svg`<path d="M8.5 5.5v13M15.5 5.5v13"/>`,
  lock: svg`<rect x="5" y="10.5" width="14" height="9.5" rx="2.5"/><path d="M8 10.5V8a4 4 0 0 1 8 0v2.5"/>`,
  clock: svg`<circle cx="12" cy="12" r="8.3"/><path d="M12 7.3V12l3.2 2"/>`,
  sign_out: svg`<path d="M10 4.5H6.5A2 2 0 0 0 4.5 6.5v11a2 2 0 0 0 2 2H10M14.5 8l4 4-4 4M18.5 12H9.5"/>`,
  pin: svg`<path d="M9 3.8h6l-.8 5.7 3 3.5H6.8l3-3.5ZM12 13v7.2"/>`,
  down: svg`<path d="M12 5v13M6 12.5l6 6 6-6"/>`,
  up: svg`<path d="M12 19V6M6 11.5l6-6 6 6"/>`,
  reply: svg`<path d="M9.5 6 4 11.5 9.5 17"/><path d="M4.5 11.5H13c4 0 6.5 2.2 7 6.5"/>`,
  trash: svg`<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.9 12.5h9.2L17.5 7M10.3 10.8v5M13.7 10.8v5"/>`,
  ban: svg`<circle cx="12" cy="12" r="8.3"/><path d="m6.2 6.2 11.6 11.6"/>`,
  guests: svg`<circle cx="8.5" cy="8.5" r="3.2" /><path d="M2.8 19c.4-3.4 2.6-5.2 5.7-5.2s5.3 1.8 5.7 5.2M17.5 6v7M14 9.5h7" />`,
  match: svg`<rect x="3" y="5.5" width="7.5" height="13" rx="2"/><rect x="13.5" y="5.5" width="7.5" height="13" rx="2"/><path d="M12 3.5v17"/>`,
  question: svg`<path d="M4 5.5h16v11h-8.5L7 20v-3.5H4Z"/><path d="M10 9.2a2.1 2.1 0 1 1 2.9 1.9c-.6.3-.9.6-.9 1.2M12 14v.1"/>`,
  poll: svg`<path d="M5.5 19.5v-7M12 19.5v-15M18.5 19.5v-10"/>`,
  trophy: svg`<path d="M7.5 4.5h9v5.2a4.5 4.5 0 0 1-9 0ZM7.5 6H4.2c0 3 1.2 4.6 3.6 5M16.5 6h3.3c0 3-1.2 4.6-3.6 5M12 14.2V17M8.5 19.8h7M9.8 17h4.4v2.8"/>`,
  flag: svg`<path d="M6 21V4.5M6 5h11.5l-2.3 4 2.3 4H6"/>`,
  shield: svg`<path d="M12 3.8 5 6.5v5c0 4.4 2.9 7.3 7 8.9 4.1-1.6 7-4.5 7-8.9v-5Z"/><path d="m9 12 2.2 2.2L15.2 10"/>`,
  offline: svg`<path d="M3 8.8a14 14 0 0 1 4.7-2.7M21 8.8A14 14 0 0 0 11.5 5.3M6.3 12.6a9 9 0 0 1 3.5-2M17.7 12.6a9 9 0 0 0-2-1.3M9.5 16.3a4 4 0 0 1 4.6-.4M12 19.5v.1M4 4l16 16"/>`,
};

const filled = {
  coin: svg`<circle cx="12" cy="12" r="9.5" fill="#ffc23d"/><circle cx="12" cy="12" r="6.8" fill="none" stroke="#b36a00" stroke-width="1.6"/><path d="M8.7 14.4a4.6 4.6 0 1 1 6.6 0" fill="none" stroke="#8a4b00" stroke-width="1.9" stroke-linecap="round"/><circle cx="12" cy="14.8" r="1.6" fill="#8a4b00"/>`,
  diamond: svg`<path d="M6.5 4h11L22 9.5 12 21 2 9.5Z" fill="#39c8f5"/><path d="M6.5 4 2 9.5h5.8L12 21l4.2-11.5H22L17.5 4l-1.3 5.5H7.8Z" fill="#8eeaff"/><path d="M12 4 7.8 9.5h8.4Z" fill="#d8f8ff"/>`,
  heart_full: svg`<path d="M12 20.6S3 15.7 3 9.3c0-5 6.4-6.5 9-2.1 2.6-4.4 9-2.9 9 2.1 0 6.4-9 11.3-9 11.3Z" fill="currentColor"/>`,
  dot: svg`<circle cx="12" cy="12" r="6" fill="currentColor"/>`,
};

/** An icon by name, hidden from screen readers: the control around it carries the words. */
export const icon = (name) =>
  html`<svg
    class="icon"
    viewBox="0 0 24 24"
    width="24"
    height="24"
    aria-hidden="true"
    fill="none"
    stroke=${name in filled ? "none" : "currentColor"}
    stroke-width="1.9"
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    ${strokes[name] ?? filled[name]}
  </svg>`;

/** The mark: a dot that sends. */
export const logo = html`<svg viewBox="0 0 48 48" width="34" height="34" aria-hidden="true">
  <defs>
    <linearGradient id="sun" x1="0" y1="0" x2="1" y2="1">
      <stop stop-color="#ffc46b" />
      <stop offset=".5" stop-color="#ff7a5c" />
      <stop offset="1" stop-color="#ff4f8b" />
    </linearGradient>
  </defs>
  <g fill="none" stroke="url(#sun)" stroke-width="5" stroke-linecap="round">
    <path d="M10.5 36a18 18 0 1 1 27 0" />
    <path d="M17.3 29.8a9 9 0 1 1 13.4 0" />
  </g>
  <circle cx="24" cy="38" r="5" fill="#ff4f8b" />
</svg>`;
