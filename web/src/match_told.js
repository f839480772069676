// What the people of a room hear of its match: not the same for who asked, who was asked, and everyone else. Pure.

/**
 * A key of "match.told.*", or undefined for what is nothing to them.
 *
 * @param {{ state: string, asked_by: string }} event - how the match changed
 * @param {string | undefined} was - its state as this page last knew it
 * @param {string | undefined} host - account of the host whose page this is; undefined for viewers
 */
export function toldOf({ state, asked_by }, was, host) {
  if (state === "accepted") return "accepted";
  if (was === "accepted") return "ended";
  if (host === undefined) return undefined;
  const asked = host === asked_by;
  if (state === "asked") return asked ? undefined : "asked";
  if (was !== "asked") return undefined; // it was told already
  if (state === "ended") return asked ? undefined : "taken_back";
  if (state === "declined") return asked ? "declined" : undefined;
  return asked ? "expired" : "missed";
}
