// A room as socket.io documents it: everyone joins one room, what comes from one is emitted to all.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
let hearts = 0;
let told = 0;

io.on("connection", (socket) => {
  socket.join("room");
  socket.on("chat", (said) => io.to("room").emit("chat", said));
  socket.on("react", ({ count }) => (hearts += count));
});
setInterval(() => {
  if (hearts === told) return;
  told = hearts;
  io.to("room").emit("hearts", { total: told });
}, 1000);
http.listen(0, "127.0.0.1", () => console.log(`ws://127.0.0.1:${http.address().port}/socket.io/?EIO=4&transport=websocket`));
