// The host's screen in place of the camera, in the same session: viewers see the picture change, nothing else.

const SCREEN = { video: { width: { max: 1920 }, height: { max: 1080 }, frameRate: { max: 30 } }, audio: false };

/** Events: `change` — `on` is another one. */
export class ScreenShare extends EventTarget {
  #camera = undefined;
  #screen = undefined;
  #closed = false;

  /**
   * @param {MediaStream} media - whose picture is swapped
   * @param {{ replace: (track: MediaStreamTrack) => Promise<void> }} publisher
   */
  constructor(media, publisher) {
    super();
    this.media = media;
    this.publisher = publisher;
  }

  static get supported() {
    return Boolean(navigator.mediaDevices?.getDisplayMedia);
  }

  get on() {
    return this.#screen !== undefined;
  }

  /** Asks what to show; the person may say no, which is a NotAllowedError. */
  async start() {
    const [screen] = (await navigator.mediaDevices.getDisplayMedia(SCREEN)).getVideoTracks();
    if (this.#closed) return screen.stop(); // the broadcast ended while the person chose
    screen.contentHint = "detail"; // text is read: sharp before smooth
    screen.addEventListener("ended", () => this.stop()); // the browser's own "stop sharing"
    [this.#camera] = this.media.getVideoTracks();
    this.#screen = screen;
    return this.#show(screen);
  }

  async stop() {
    const screen = this.#screen;
    if (!screen) return;
    this.#screen = undefined;
    screen.stop();
    this.media.removeTrack(screen);
    if (this.#camera) {
      this.#camera.enabled = screen.enabled;
      await this.#show(this.#camera);
    }
  }

  /** No longer live: neither screen nor the camera behind it stays on. */
  close() {
    this.#closed = true;
    this.#screen?.stop();
    if (this.#screen) this.#camera?.stop();
    this.#screen = undefined;
  }

  async #show(track) {
    for (const old of this.media.getVideoTracks()) this.media.removeTrack(old);
    this.media.addTrack(track);
    await this.publisher.replace(track);
    this.dispatchEvent(new Event("change"));
  }
}
