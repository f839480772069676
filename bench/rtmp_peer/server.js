// node-media-server, RTMP alone: the port and a folder for what it keeps are its arguments.
import NodeMediaServer from 'node-media-server';

const [port, folder] = process.argv.slice(2);
new NodeMediaServer({
  bind: '127.0.0.1',
  rtmp: { port: Number(port) },
  auth: { play: false, publish: false },
  store: { path: folder, maxHistory: 100 },
  record: { auto: false, path: folder },
}).run();
