/** Writes the API reference: `npm run docs`. The tests fail while it is not what this writes. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { makeReference } from "./docs/reference.js"

const directory = fileURLToPath(new URL("../docs/api", import.meta.url))
const pages = makeReference()
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
for (const [name, text] of pages) writeFileSync(resolve(directory, name), text)
console.log(`${pages.size} pages in docs/api`)
