/** The monitor's page as one document, with its script bundled and its style in it, as a module of the package. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "esbuild"

const sources = new URL("../../src/monitor/page/", import.meta.url)

const bundle = async (file: string): Promise<string> => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, sources))],
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2022"],
    charset: "utf8",
    legalComments: "none",
    write: false
  })
  return outputFiles[0]!.text.trim()
}

const hash = (text: string): string => `sha256-${createHash("sha256").update(text).digest("base64")}`

const constant = (name: string, value: string): string => `export const ${name}: string = ${JSON.stringify(value)}\n`

/** The text of `src/monitor/assets.ts`. */
export const makeAssets = async (): Promise<string> => {
  const style = await bundle("style.css")
  const script = await bundle("script.ts")
  const page = readFileSync(new URL("page.html", sources), "utf8")
    .replace("<style></style>", () => `<style>${style}</style>`)
    .replace("<script></script>", () => `<script>${script}</script>`)
  return [
    "// Generated from src/monitor/page by `npm run monitor:assets`. Do not edit.\n",
    constant("scriptHash", hash(script)),
    constant("styleHash", hash(style)),
    constant("page", page)
  ].join("\n")
}
