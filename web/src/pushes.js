// Pushes to this browser: what it can do, turning them on and off, and opening what a push was clicked for.
import { api } from "./api.js";
import { router } from "./router.js";

const NAME = "onair.device";

/** One name for this browser, so that turning pushes on again renews them. */
function device() {
  let name = localStorage.getItem(NAME);
  if (!name) localStorage.setItem(NAME, (name = crypto.randomUUID()));
  return name;
}

const raw = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

/** "unsupported", "refused" (by the person, in the browser), "on" or "off". */
export async function state() {
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis) || !("Notification" in globalThis)) return "unsupported";
  if (Notification.permission === "denied") return "refused";
  const registration = await navigator.serviceWorker.getRegistration("/");
  const subscribed = await registration?.pushManager.getSubscription();
  if (!subscribed || Notification.permission !== "granted") return "off";
  const { items } = await api.get("/me/devices");
  return items.some((one) => one.id === device()) ? "on" : "off";
}

/** Asks the person, subscribes, and tells the API; answers the new state. Throws where the browser cannot subscribe. */
export async function turnOn() {
  if ((await Notification.requestPermission()) !== "granted") return state();
  const { web_push_key: key } = await api.get("/me/devices");
  await navigator.serviceWorker.register("/push_worker.js", { scope: "/" });
  const registration = await navigator.serviceWorker.ready;
  const made = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: raw(key) });
  const { endpoint, keys } = made.toJSON();
  await api.put(`/me/devices/${device()}`, { kind: "web", endpoint, p256dh: keys.p256dh, auth: keys.auth });
  return "on";
}

export async function turnOff() {
  await api.delete(`/me/devices/${device()}`);
  const registration = await navigator.serviceWorker.getRegistration("/");
  await (await registration?.pushManager.getSubscription())?.unsubscribe();
  return "off";
}

/** The page goes where a push that was clicked leads. */
export function openWhatIsClicked() {
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (typeof data?.open === "string") router.go(data.open);
  });
}
