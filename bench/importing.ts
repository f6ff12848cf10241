/** A process that imports what it is told, and says how long that took, or how many modules were loaded. */
import { Session } from "node:inspector"

const [what, ...modules] = process.argv.slice(2)

const load = async (): Promise<void> => {
  for (const module of modules) await import(module)
}

/** Milliseconds. */
const timed = async (): Promise<number> => {
  const start = performance.now()
  await load()
  return performance.now() - start
}

/** A debugger hears of every script, but slows it down. */
const counted = async (): Promise<number> => {
  const session = new Session()
  session.connect()
  let loaded = 0
  await new Promise<void>((resolve) => session.post("Debugger.enable", () => resolve()))
  session.on("Debugger.scriptParsed", ({ params }) => {
    if (params.url.startsWith("file:")) loaded += 1
  })
  await load()
  return loaded
}

process.send?.(await (what === "count" ? counted() : timed()), () => process.disconnect())
