// How far a picture lies behind the camera, and the pace that brings it back. Pure: values in, values out.

/** Further behind than this, one is offered the way back to live: playing faster would take a minute. */
export const BEHIND_S = 5;
/** What playing a little faster may be without being heard as such. */
export const PACE_MAX = 1.08;
/** A device's clock that says more than this beside the distance to the newest part is wrong. */
const CLOCK_OFF_S = 5;
/** Where a player without control of its own should stay, and how far off it may be before its pace changes. */
const TARGET_S = 2;
const SLACK_S = 0.6;

/**
 * Seconds from the camera to the screen. The picture's own date is exact where this device's clock is right; where it
 * cannot be, the distance to the newest part is what is known.
 *
 * @param {{ date?: number, edge_s?: number, now: number }} at - date of the picture and now, in ms since 1970
 * @returns {number | undefined}
 */
export function latency({ date, edge_s, now }) {
  if (!Number.isFinite(date)) return Number.isFinite(edge_s) && edge_s > 0 ? edge_s : undefined;
  const by_date_s = (now - date) / 1000;
  if (!Number.isFinite(edge_s)) return by_date_s >= 0 && by_date_s < 600 ? by_date_s : undefined;
  return by_date_s >= edge_s - 0.5 && by_date_s <= edge_s + CLOCK_OFF_S ? Math.max(0, by_date_s) : edge_s;
}

/**
 * Playback rate that brings a player back to where it should stay.
 *
 * @param {number | undefined} latency_s - how far behind it is, by whatever `target_s` is counted in
 * @param {number} pace_now - its rate now
 * @param {{ target_s?: number, slack_s?: number }} goal - Safari's own player is held to two seconds behind the camera
 */
export function pace(latency_s, pace_now = 1, { target_s = TARGET_S, slack_s = SLACK_S } = {}) {
  if (!Number.isFinite(latency_s) || !Number.isFinite(target_s)) return 1;
  // Faster until the target, not only until the slack: else it would change back and forth.
  const behind = latency_s - target_s;
  return behind > slack_s || (pace_now > 1 && behind > 0) ? PACE_MAX : 1;
}

/**
 * Renditions as a menu shows them, best first: the shorter side names one, as on every player ("720p").
 *
 * @param {{ width?: number, height?: number, bitrate: number, name?: string }[]} levels - hls.js's, in its order
 */
export function renditions(levels) {
  return levels
    .map(({ width = 0, height = 0, bitrate }, index) => ({ index, lines: Math.min(width, height), bitrate }))
    .sort((a, b) => b.lines - a.lines || b.bitrate - a.bitrate);
}
