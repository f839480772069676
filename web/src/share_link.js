// Sharing a broadcast: one's own link, by the device's own sheet where there is one, else by the clipboard.
import { api } from "./api.js";
import { session } from "./session.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

/** The link to share: one's own, which counts who comes by it; a visitor's is the broadcast's address. */
async function ownLink(streamId, channel) {
  const plain = new URL(`/watch/${streamId}`, api.config.web_url || location.origin).href;
  if (!session.signedIn) return plain;
  // What cannot be counted can be shared all the same.
  return api.request("POST", `/streams/${streamId}/share`, { body: { channel } }).then(({ url }) => url, () => plain);
}

/** Undefined where it was shared (or given up), else the link that is to be shown. */
export async function shareLink(streamId, name, title) {
  const url = await ownLink(streamId, navigator.share ? "system" : "link");
  try {
    if (navigator.share) await navigator.share({ title: "Onair", text: t("watch.share_text", { name, title }), url });
    else {
      await navigator.clipboard.writeText(url);
      toast(t("watch.shared"));
    }
    return undefined;
  } catch (error) {
    return error.name === "AbortError" ? undefined : url;
  }
}
