/** Writes the address of the repository where it has to stand: `npm run address`. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { withAddress } from "./release/address.js"

for (const file of ["../package.json", "../editions/4/package.json"]) {
  const path = fileURLToPath(new URL(file, import.meta.url))
  writeFileSync(path, withAddress(readFileSync(path, "utf8")))
}
