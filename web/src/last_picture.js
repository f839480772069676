// The last picture of a video on a canvas above it: loading anew blanks the video element.

const WIDTH_MAX = 720;

export function keepPicture(video, still) {
  if (!still || !video || video.readyState < 2 || video.videoWidth === 0) return;
  still.width = Math.min(video.videoWidth, WIDTH_MAX);
  still.height = Math.round((still.width * video.videoHeight) / video.videoWidth);
  still.getContext("2d").drawImage(video, 0, 0, still.width, still.height);
  still.classList.add("taken");
}
