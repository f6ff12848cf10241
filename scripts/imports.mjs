/**
 * Lets sources that are compiled to another folder than `dist` run there: `node scripts/imports.mjs bench/dist`, in the folder of an edition. It writes a
 * package.json with the `imports` of the package's own, for a folder in which `src` lies beside what imports it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const [folder] = process.argv.slice(2)
const { imports, sideEffects, type } = JSON.parse(readFileSync("package.json", "utf8"))

const here = Object.fromEntries(
  Object.entries(imports).map(([name, target]) => [name, target.replace(/^\.\/dist\//, "./src/")])
)
// What the benchmarks have of each edition has the same endings.
here["#bench/*"] = here["#edition/*"].replace("./src/", "./bench/")
writeFileSync(
  join(folder, "package.json"),
  `${JSON.stringify({ private: true, type, sideEffects, imports: here }, null, 2)}\n`
)
