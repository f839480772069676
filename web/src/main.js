// The page's entry: defines the app and the toast.
import "./app.js";
import "./toast.js";
import { provideEmoji } from "./emoji_font.js";
import { openWhatIsClicked } from "./pushes.js";

provideEmoji();
openWhatIsClicked();
document.body.append(document.createElement("onair-toast"));
