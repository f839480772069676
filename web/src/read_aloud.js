// Reads aloud, on the host's own device, what is put over the picture: eyes stay on the camera. Off until asked for.
const KEY = "onair.read_aloud";

export const canReadAloud = () => "speechSynthesis" in globalThis;

/** Whether this device reads aloud; remembered for the next broadcast. */
export function readsAloud() {
  try {
    return canReadAloud() && localStorage.getItem(KEY) === "on";
  } catch {
    return false; // storage is denied: then nothing was ever asked for
  }
}

export function setReadAloud(on) {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    return; // without storage there is nothing to remember it by
  }
  if (!on) speechSynthesis.cancel();
}

/** Reads a question or comment that begins to be shown; whatever is still being read makes way for it. */
export function readShown(event) {
  if (event.type !== "question" || event.state !== "showing" || event.question_id === readShown.last || !readsAloud()) return;
  readShown.last = event.question_id;
  speechSynthesis.cancel();
  speechSynthesis.speak(new SpeechSynthesisUtterance(`${event.from?.name ?? ""}: ${event.text}`));
}
