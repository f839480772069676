// How hls.js is to play a broadcast.

/** A stall takes the player so much further from live, until it loads anew. */
const STALL_STEP_S = 0.5;
/** Bits a second that are taken for granted before the first part was loaded: one begins with what the host sends. */
const FIRST_ESTIMATE = 20e6;

export const HLS_OPTIONS = {
  lowLatencyMode: true,
  // The player keeps the pace: hls.js plays faster only with over a second in its buffer, and low latency has less.
  maxLiveSyncPlaybackRate: 1,
  liveSyncOnStallIncrease: STALL_STEP_S,
  backBufferLength: 10,
  maxBufferLength: 12,
  enableWorker: true,
  abrEwmaDefaultEstimate: FIRST_ESTIMATE,
  abrEwmaDefaultEstimateMax: FIRST_ESTIMATE,
  // The room's frames are read as they are parsed: cues of the same instant would replace one another.
  enableEmsgMetadataCues: false,
};
