// Sending a picture by the form that the API signed, and waiting for what became of it.
import { api, ApiError } from "./api.js";
import { t } from "./strings.js";

const POLL_MS = 500;
const POLLS_MAX = 40;

/** Sends `file` by the signed form that `path` answers. */
export async function upload(path, file) {
  const { url, fields, bytes_max } = await api.post(path);
  if (file.size > bytes_max) throw new Error(t("settings.picture.too_large"));
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  // The form ends with the file: S3 ignores what comes after it.
  form.append("file", file);
  let answer;
  try {
    answer = await fetch(url, { method: "POST", body: form });
  } catch {
    throw new ApiError(0, "network", t("error.network"));
  }
  if (!answer.ok) throw new ApiError(answer.status, "unknown", t("error.unknown"));
}

/** What became of the newest upload at `path`: ready, refused, or still waiting after twenty seconds. */
export async function pictureState(path) {
  let found;
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    found = await api.get(path);
    if (found.state !== "waiting") break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return found;
}
