// Who waits and who is on screen, as events of the room change it. Pure.

/** The seats after an event: who left is gone, who came or was muted is as the event says. Pure. */
export function itemsAfter(items, { seat, state, from, muted = false }) {
  if (["left", "removed", "declined"].includes(state)) return items.filter((one) => one.seat !== seat);
  const before = items.find((one) => one.seat === seat);
  const stands = state === "muted" || state === "unmuted" ? (before?.state ?? "accepted") : state;
  const after = { seat, state: stands, from, muted };
  return before ? items.map((one) => (one.seat === seat ? after : one)) : [...items, after];
}
