// The page's service worker: shows what a push says, and opens the stream on a click. It caches nothing.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  const given = event.data?.json() ?? {};
  event.waitUntil(
    self.registration.showNotification(given.title ?? "Onair", {
      body: given.body ?? "",
      icon: "/favicon.svg",
      tag: `${given.kind}-${given.stream_id}`,
      data: { url: given.url },
    }),
  );
});

/** Only paths of this page: what a push says must not lead anywhere else. */
const inside = (url) => {
  const { origin, pathname } = new URL(url ?? "/", self.location.origin);
  return origin === self.location.origin ? pathname : "/";
};

const open = async (path) => {
  const [window] = await self.clients.matchAll({ type: "window" });
  if (!window) return self.clients.openWindow(path);
  window.postMessage({ open: path });
  // Without a gesture of the person's the browser may refuse; the page has changed all the same.
  return window.focus().catch(() => window);
};

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(inside(event.notification.data?.url)));
});
