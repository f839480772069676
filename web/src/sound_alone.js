// The rendition without pictures: which one it is, by what the multivariant playlist says of it. Pure.

/** Among hls.js's levels as the playlist lists them, which are told before it leaves out those without pictures. */
export function soundOf(levels) {
  const pictures = levels.some(({ videoCodec, width }) => videoCodec || width);
  return pictures ? levels.find(({ audioCodec, videoCodec, width }) => audioCodec && !videoCodec && !width)?.url : undefined;
}

/**
 * The same of a playlist's text, for the system's own player.
 *
 * @param {string} text - a multivariant playlist
 * @param {string} address - where it was loaded, to which its names are relative
 */
export function soundIn(text, address) {
  const lines = text.split("\n").map((line) => line.trim());
  const variants = lines.flatMap((line, at) => (line.startsWith("#EXT-X-STREAM-INF:") ? [{ line, uri: lines[at + 1] }] : []));
  const without = variants.find(({ line, uri }) => !line.includes("RESOLUTION=") && line.includes('CODECS="mp4a') && uri);
  return without && variants.length > 1 ? new URL(without.uri, address).href : undefined;
}
