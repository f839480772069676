// What stands in a room until the next event changes it: settings, pin, poll, match, the question that is shown. Pure.

/** The room after an event; the same object where the event changes nothing that stands. */
export function roomAfter(room, event) {
  switch (event.type) {
    case "pinned":
      return { ...room, pinned: event.pinned };
    case "settings":
      return { ...room, settings: event.settings };
    case "poll":
      return { ...room, poll: event };
    case "match":
      return { ...room, match: matchAfter(room?.match, event) };
    case "question":
      return afterQuestion(room, event);
    case "removed":
      return without(room, event.event_id);
    default:
      return room;
  }
}

/** The match after an event: asked for or on; whatever else is told of it, it is over. */
export function matchAfter(match, event) {
  const { match: id, state, rival, asked_by, until } = event;
  if (state === "asked" || state === "accepted") return { match: id, state, rival, asked_by, until };
  return match?.match === id ? undefined : match;
}

/** Only one question is shown at a time: the newest that was put there, until its own state says otherwise. */
function afterQuestion(room, event) {
  if (event.state === "showing") return { ...room, showing: event };
  return room?.showing?.question_id === event.question_id ? { ...room, showing: undefined } : room;
}

function without(room, id) {
  const pinned = room?.pinned?.id === id ? undefined : room?.pinned;
  const showing = room?.showing?.question_id === id ? undefined : room?.showing;
  return pinned === room?.pinned && showing === room?.showing ? room : { ...room, pinned, showing };
}

/** Questions as the sheet lists them: the one shown first, then most upvotes, then the oldest. */
export const byInterest = (questions) =>
  [...questions].sort(
    (a, b) =>
      Number(b.state === "showing") - Number(a.state === "showing") || b.upvotes - a.upvotes || a.at.localeCompare(b.at),
  );

/** The questions after an event: those answered, dismissed or removed are no longer waiting. */
export function questionsAfter(questions, event) {
  if (event.type === "removed") return questions.filter(({ question_id }) => question_id !== event.event_id);
  if (event.type !== "question") return questions;
  const others = questions.filter(({ question_id }) => question_id !== event.question_id);
  const waits = event.state === "open" || event.state === "showing";
  return waits ? byInterest([...others, event]) : others;
}

/** Whole percents of a poll's votes, by option; zeros before the first vote. */
export function shares(tallies) {
  const total = tallies.reduce((sum, votes) => sum + votes, 0);
  return tallies.map((votes) => (total === 0 ? 0 : Math.round((100 * votes) / total)));
}
