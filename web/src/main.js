// The page's entry: defines the app and the toast.
import "./app.js";
import "./toast.js";

document.body.append(document.createElement("onair-toast"));
