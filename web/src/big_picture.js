// Full screen and picture in picture, by the way that this browser has. All of it needs a tap.

/** Whether the page fills the screen. */
export const isFull = () => Boolean(document.fullscreenElement);

/** Whether there is a way at all: iPhones fill the screen with the video alone. */
export const fullPossible = (video) => Boolean(document.fullscreenEnabled || video?.webkitSupportsFullscreen);

/** Fills the screen with the page (room and sheets stay), or goes back; turns a phone for a wide picture. */
export async function toggleFull(video, landscape) {
  if (isFull()) return document.exitFullscreen();
  if (!document.fullscreenEnabled) return video.webkitEnterFullscreen();
  await document.documentElement.requestFullscreen({ navigationUI: "hide" });
  // Desktops refuse to be turned: the picture is shown all the same.
  if (landscape) screen.orientation?.lock?.("landscape").catch(() => undefined);
}

export const smallPossible = (video) =>
  Boolean(document.pictureInPictureEnabled || video?.webkitSupportsPresentationMode?.("picture-in-picture"));

/** The picture in a small window above everything else, or back. */
export async function toggleSmall(video) {
  if (document.pictureInPictureElement) return document.exitPictureInPicture();
  if (document.pictureInPictureEnabled) return video.requestPictureInPicture();
  const small = video.webkitPresentationMode === "picture-in-picture";
  video.webkitSetPresentationMode(small ? "inline" : "picture-in-picture");
}
