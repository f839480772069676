// What the lock screen and headphones show and do while a broadcast plays (Media Session).

/** @param {{ title?: string, artist?: string, artwork?: string }} about */
export function describe({ title = "", artist = "", artwork }) {
  if (!("mediaSession" in navigator)) return;
  navigator.mediaSession.metadata = new MediaMetadata({
    title,
    artist,
    album: "Onair",
    artwork: artwork ? [{ src: new URL(artwork, location.href).href }] : [],
  });
}

/**
 * @param {Partial<Record<MediaSessionAction, () => void>>} acts - by the names of the standard
 * @returns {() => void} takes them back
 */
export function handle(acts) {
  if (!("mediaSession" in navigator)) return () => undefined;
  const set = (name, act) => {
    try {
      navigator.mediaSession.setActionHandler(name, act);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // this browser does not know the action: it has no button for it
    }
  };
  for (const [name, act] of Object.entries(acts)) set(name, act);
  return () => {
    for (const name of Object.keys(acts)) set(name, null);
    navigator.mediaSession.metadata = null;
    navigator.mediaSession.playbackState = "none";
  };
}

export function playing(yes) {
  if ("mediaSession" in navigator) navigator.mediaSession.playbackState = yes ? "playing" : "paused";
}
