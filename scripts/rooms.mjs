/**
 * Holds the map of the rooms: `npm run rooms`. Each folder of `src` is a room, and imports from the rooms that it knows,
 * types included. No file imports itself through others. Faces and entries, on top of `src`, are imported by no room.
 */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, posix, relative, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("../src", import.meta.url))

/** Which rooms a room knows. Later ones stand on earlier ones. */
const rooms = {
  effect: [],
  values: ["effect"],
  core: ["effect", "values"],
  transport: ["effect", "values"],
  connection: ["effect", "values", "core", "transport"],
  messages: ["effect", "values", "connection"],
  options: ["effect", "values", "connection"],
  quota: ["effect", "values", "core", "options"],
  observe: ["effect", "values", "core", "connection", "options"],
  pool: ["effect", "values", "core", "transport", "connection", "options", "observe"],
  requests: ["effect", "values", "core", "connection", "messages", "options", "pool"],
  jsonrpc: ["effect", "values", "core", "messages", "options", "observe", "pool", "requests"],
  rpc: ["effect", "values", "pool", "requests"],
  monitor: ["effect", "values", "connection", "options", "observe", "pool"]
}

/**
 * The editions. What `#effect/…`, `#dialect` and `#edition/…` lead to is a file of each; all else knows neither. `effect`
 * itself is imported by those files alone.
 */
const editions = ["3", "4"]
const isOfEdition = (file) => /^effect\/|\.[34]\.ts$/.test(file)

/** Runs nowhere but in a browser, and is bundled into `monitor/assets`. */
const apart = "monitor/page"

/** What imports `ws` and the modules of Node.js. */
const nodeOnly = /^(transport\/node\/|Node)/

const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .map((file) => file.split(sep).join("/"))
  .filter((file) => file.endsWith(".ts") && !file.startsWith(`${apart}/`))

const isEntry = (file) => /^[a-z]\w*\.ts$/.test(file)
const roomOf = (file) => (file.includes("/") ? file.slice(0, file.indexOf("/")) : isEntry(file) ? "entries" : "faces")

const problems = []
const graph = new Map()
for (const file of files) {
  const text = readFileSync(join(root, file), "utf8")
  const imports = []
  for (const { fileName } of ts.preProcessFile(text).importedFiles) {
    if (fileName.startsWith(".")) {
      const target = relative(root, resolve(root, dirname(file), fileName.replace(/\.js$/, ".ts")))
      imports.push(target.split(sep).join(posix.sep))
    } else if (fileName.startsWith("#edition/")) {
      imports.push(...editions.map((edition) => `${fileName.slice("#edition/".length)}.${edition}.ts`))
    } else if (fileName === "#dialect") {
      imports.push(...editions.map((edition) => `effect/${edition}/dialect.ts`))
    } else if (/^(ws|node:.*)$/.test(fileName) && !nodeOnly.test(file)) {
      problems.push(`${file} imports ${fileName}, which only the Node transport may`)
    } else if (/^@?effect\//.test(fileName) && !isOfEdition(file)) {
      problems.push(`${file} imports ${fileName}, which only files of an edition may: use #effect/…`)
    }
  }
  graph.set(file, imports)
}

for (const [file, imports] of graph) {
  for (const target of imports) if (!graph.has(target)) problems.push(`${file} imports ${target}, which does not exist`)
  const room = roomOf(file)
  if (room !== "faces" && room !== "entries" && rooms[room] === undefined) problems.push(`${file} is in no room`)
  for (const target of imports) {
    const other = roomOf(target)
    const isAllowed =
      room === "entries"
        ? other === "faces"
        : room === "faces"
          ? other !== "entries"
          : other === room || rooms[room]?.includes(other)
    if (!isAllowed) problems.push(`${file} imports ${target}: ${room} does not know ${other}`)
  }
}

// Tarjan: what can be reached from itself.
const index = new Map()
const low = new Map()
const stack = []
const visit = (file) => {
  index.set(file, index.size)
  low.set(file, index.get(file))
  stack.push(file)
  for (const next of graph.get(file) ?? []) {
    if (!index.has(next)) {
      visit(next)
      low.set(file, Math.min(low.get(file), low.get(next)))
    } else if (stack.includes(next)) low.set(file, Math.min(low.get(file), index.get(next)))
  }
  if (low.get(file) !== index.get(file)) return
  const circle = stack.splice(stack.indexOf(file))
  if (circle.length > 1) problems.push(`a circle: ${circle.join(", ")}`)
}
for (const file of files) if (!index.has(file)) visit(file)

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exit(1)
}
console.log(
  `${files.length} files in ${Object.keys(rooms).length} rooms, ${files.filter((file) => !file.includes("/")).length} faces and entries: no circle`
)
