// Builds web/dist: one ES module bundle (hls.js in a chunk of its own), hashed names so that assets may be cached for
// ever, and index.html, which must not be, naming them.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, "dist");

/** Writes dist/index.html with the names of this build's script and style. */
const pageWriter = {
  name: "page",
  setup(build) {
    build.onEnd(async (result) => {
      if (result.errors.length > 0) return;
      const outputs = Object.entries(result.metafile.outputs);
      const named = (extension) => {
        const [file] = outputs.find(([name, output]) => output.entryPoint === `src/main.${extension}`);
        return `/${path.relative("dist", file)}`;
      };
      const template = await readFile(path.join(root, "index.html"), "utf8");
      const page = template.replace("/src/main.js", named("js")).replace("/src/main.css", named("css"));
      await writeFile(path.join(dist, "index.html"), page);
    });
  },
};

/** @type {esbuild.BuildOptions} */
const options = {
  absWorkingDir: root,
  entryPoints: ["src/main.js", "src/main.css"],
  outdir: "dist",
  bundle: true,
  format: "esm",
  splitting: true,
  target: ["chrome109", "safari16.4", "firefox115"],
  entryNames: "assets/[name]-[hash]",
  chunkNames: "assets/[name]-[hash]",
  assetNames: "assets/[name]-[hash]",
  loader: { ".woff2": "file" },
  legalComments: "none",
  metafile: true,
  plugins: [pageWriter],
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await cp(path.join(root, "public"), dist, { recursive: true });

if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...options, sourcemap: true });
  await context.watch();
} else {
  const { metafile } = await esbuild.build({ ...options, minify: true });
  for (const [name, output] of Object.entries(metafile.outputs)) {
    if (/\.(js|css)$/.test(name)) console.log(`${name}  ${(output.bytes / 1024).toFixed(1)} kB`);
  }
}
