// ICE restarts by WHIP (RFC 9725 4.3.3): new credentials and addresses go by PATCH, and the answer's take the old ones'
// place in what was agreed on. Media and session stay.

const GATHER_MS = 1_500;

const CREDENTIALS = /^a=ice-(?:ufrag|pwd):/;
const CANDIDATES = /^a=(?:candidate:|end-of-candidates)/;

const lines = (sdp) => sdp.split(/\r?\n/).filter(Boolean);

/** What a PATCH says of an offer: credentials and candidates of its first medium, which carries all that is bundled. */
export function fragment(offer) {
  const [, ...media] = lines(offer).join("\r\n").split(/^(?=m=)/m);
  const first = lines(media[0]);
  const credentials = first.filter((line) => CREDENTIALS.test(line));
  const rest = first.filter((line) => /^(?:m=|a=mid:)/.test(line) || CANDIDATES.test(line));
  return [...credentials, ...rest, ""].join("\r\n");
}

/** The answer agreed on before, with the credentials and candidates of the relay's fragment. */
export function renewed(answer, told) {
  const credentials = lines(told).filter((line) => CREDENTIALS.test(line));
  const candidates = lines(told).filter((line) => CANDIDATES.test(line));
  let media = 0;
  const out = [];
  for (const line of lines(answer)) {
    if (line.startsWith("m=")) media += 1;
    if (CANDIDATES.test(line) || line.startsWith("a=ice-pwd:")) continue;
    if (line.startsWith("a=ice-ufrag:")) out.push(...credentials, ...(media === 1 ? candidates : []));
    else out.push(line);
  }
  return [...out, ""].join("\r\n");
}

/**
 * Restarts ICE of a peer connection that has an answer.
 * @param {RTCPeerConnection} peer
 * @param {(fragment: string) => Promise<string>} ask - sends a fragment, resolves to the relay's
 */
export async function restartIce(peer, ask) {
  const agreed = peer.currentRemoteDescription.sdp;
  await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
  await gathered(peer);
  const told = await ask(fragment(peer.localDescription.sdp));
  await peer.setRemoteDescription({ type: "answer", sdp: renewed(agreed, told) });
}

/** The relay takes whole offers: wait for candidates, though not for ever. */
export function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(limit);
      resolve();
    });
  });
}
