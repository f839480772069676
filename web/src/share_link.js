// Sharing a broadcast: the device's own sheet where there is one, else the clipboard.
import { api } from "./api.js";
import { t } from "./strings.js";
import { toast } from "./toast.js";

/** False where neither may be used: the link is then to be shown. */
export async function shareLink(streamId, name, title) {
  const url = new URL(`/watch/${streamId}`, api.config.web_url || location.origin).href;
  try {
    if (navigator.share) await navigator.share({ title: "Onair", text: t("watch.share_text", { name, title }), url });
    else {
      await navigator.clipboard.writeText(url);
      toast(t("watch.shared"));
    }
    return true;
  } catch (error) {
    return error.name === "AbortError";
  }
}
