// Camera and microphone: permission with reasons, switching, and how loud the microphone is.

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Why a device is not there: a key of "live.device_*". */
export const REASONS = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/**
 * Asks for both devices; where that fails, for each, so that the person is told which one is the matter.
 * @returns {Promise<{ media: MediaStream, refusals: { camera?: string, microphone?: string } }>}
 */
export async function openDevices(facing = "user") {
  if (!navigator.mediaDevices?.getUserMedia) {
    return { media: new MediaStream(), refusals: { camera: "insecure", microphone: "insecure" } };
  }
  const video = { ...VIDEO, facingMode: facing };
  try {
    return { media: await navigator.mediaDevices.getUserMedia({ video, audio: AUDIO }), refusals: {} };
  } catch {
    const media = new MediaStream();
    const refusals = {};
    for (const [device, constraints] of [["camera", { video }], ["microphone", { audio: AUDIO }]]) {
      try {
        const each = await navigator.mediaDevices.getUserMedia(constraints);
        each.getTracks().forEach((track) => media.addTrack(track));
      } catch (error) {
        refusals[device] = REASONS[error.name] ?? "busy";
      }
    }
    return { media, refusals };
  }
}

async function openCamera(constraints) {
  const media = await navigator.mediaDevices.getUserMedia({ video: { ...VIDEO, ...constraints } });
  return media.getVideoTracks()[0];
}

async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind }) => kind === "videoinput").map(({ deviceId }) => deviceId);
}

/**
 * The camera on the other side or, where cameras have none (at a desk), the next one; the same again where that fails.
 * The old one is stopped first: phones open one at a time.
 * @returns {Promise<{ track: MediaStreamTrack, facing: string }>}
 */
export async function otherCamera(old, facing) {
  const { deviceId } = old?.getSettings() ?? {};
  old?.stop();
  const opposite = facing === "user" ? "environment" : "user";
  try {
    const track = await openCamera({ facingMode: opposite });
    if (track.getSettings().facingMode === opposite) return { track, facing: opposite };
    track.stop();
    const all = await cameras();
    const next = all[(all.indexOf(deviceId) + 1) % all.length];
    return { track: await openCamera({ deviceId: { exact: next } }), facing };
  } catch {
    return { track: await openCamera(deviceId ? { deviceId } : { facingMode: facing }), facing };
  }
}

export const cameraCount = async () => (await cameras()).length;

/** How loud the microphone is: `read()` gives 0…1 on a scale of decibels, -60 dB to -6 dB. */
export class LevelMeter {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples;

  constructor(media) {
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(media).connect(this.#analyser);
  }

  read() {
    if (this.#context.state === "suspended") this.#context.resume();
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    const decibels = 10 * Math.log10(power + 1e-10);
    return Math.min(1, Math.max(0, (decibels + 60) / 54));
  }

  close() {
    this.#context.close();
  }
}
