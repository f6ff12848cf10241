/**
 * Makes the notes of `changes/` a part of the changelog, and gives both editions their next version: `npm run release`.
 * It commits and publishes nothing.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { next, parse, released, releaseOf, withVersion } from "./release/notes.js"

const at = (file: string): string => fileURLToPath(new URL(`../${file}`, import.meta.url))
const read = (file: string): string => readFileSync(at(file), "utf8")

const files = readdirSync(at("changes"))
  .filter((file) => file.endsWith(".md") && file !== "README.md")
  .map((file) => `changes/${file}`)
  .sort()
const notes = files.map((file) => parse(file, read(file)))
const { version } = JSON.parse(read("editions/4/package.json"))
// What comes before a release, as 4.0.0-next, becomes that one.
const release = version.includes("-") ? releaseOf(version) : next(releaseOf(version), notes)
const date = new Date().toISOString().slice(0, 10)

writeFileSync(at("CHANGELOG.md"), released(read("CHANGELOG.md"), notes, release, date))
for (const [file, major] of [["package.json", 3] as const, ["editions/4/package.json", 4] as const]) {
  writeFileSync(at(file), withVersion(read(file), major, release))
}
for (const file of files) rmSync(at(file))
console.log(`3.${release.minor}.${release.patch} and 4.${release.minor}.${release.patch}: ${notes.length} notes`)
