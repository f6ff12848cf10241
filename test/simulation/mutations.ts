import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

/** One way to break the pool: a text of a file in src/internal, and what to put in its place. */
interface Mutation {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
}

const mutations: ReadonlyArray<Mutation> = [
  {
    name: "forget what a cancelled waiter was given",
    file: "slotPool.ts",
    from: "} else if (waiter.granted !== undefined) this.release(waiter.granted, true)",
    to: "}"
  },
  {
    name: "free a slot before its socket is gone",
    file: "connections.ts",
    from: '    link.close(reason === "Shutdown" ? 1001 : 1000, "", "Pool", reason)\n',
    to: '    link.close(reason === "Shutdown" ? 1001 : 1000, "", "Pool", reason)\n    this.pool.closed(slot)\n'
  },
  {
    name: "ignore discard and discardOn",
    file: "connections.ts",
    from: "if (link.isUnfit) return",
    to: "if (link.isUnfit && this.timers.now() < 0) return"
  },
  {
    name: "reuse a connection with an unread message",
    file: "connections.ts",
    from: 'return link.inbox.length === 0 ? "Reuse" : "Dirty"',
    to: 'return "Reuse"'
  },
  {
    name: "keep a message that comes between two leases",
    file: "link.ts",
    from: "else if (this.lease !== undefined || this.leases === 0) {",
    to: "else if (this.lease !== undefined || this.leases >= 0) {"
  },
  {
    name: "drop an unread message without counting it",
    file: "link.ts",
    from: "      this.inbox.take()\n      this.host.onDropped(this, bytes)\n",
    to: "      this.inbox.take()\n"
  },
  {
    name: "leave the slot of a failed creation taken",
    file: "slotPool.ts",
    from: '    this.move(slot, "failed")\n    this.slots.delete(slot)\n',
    to: '    this.move(slot, "failed")\n'
  },
  {
    name: "do not serve when a slot becomes free",
    file: "slotPool.ts",
    from: '    if (this.state === "open") this.serve()\n    else if (this.slots.size === 0)',
    to: '    if (this.state !== "open" && this.slots.size === 0)'
  },
  {
    name: "do not serve when a lease ends",
    file: "slotPool.ts",
    from: '    if (this.state !== "open" && this.count.leased === 0) this.driver.vacated()\n    this.serve()\n',
    to: '    if (this.state !== "open" && this.count.leased === 0) this.driver.vacated()\n'
  },
  {
    name: "let newcomers overtake",
    file: "slotPool.ts",
    from: "      this.line.push(waiter.place)\n",
    to: "      this.line.unshift(waiter.place)\n"
  },
  {
    name: "serve the last in line first",
    file: "slotPool.ts",
    from: "      const waiter = this.line.first\n      if (waiter === undefined) return\n",
    to: "      const waiter = this.line.last\n      if (waiter === undefined) return\n"
  },
  {
    name: "open one more than the limit",
    file: "slotPool.ts",
    from: "while (this.slots.size < this.max) {\n      const wanted",
    to: "while (this.slots.size <= this.max) {\n      const wanted"
  },
  {
    name: "give getNew an idle connection",
    file: "webSocketPool.ts",
    from: "const slot = fresh ? undefined : this.pool.tryLease()",
    to: "const slot = fresh && this.timers.now() < 0 ? undefined : this.pool.tryLease()"
  },
  {
    name: "leave waiters waiting when the pool closes",
    file: "slotPool.ts",
    from: "for (let waiter = this.line.first; waiter !== undefined; waiter = this.line.first) {",
    to: "for (let waiter = undefined as Waiter<A, E> | undefined; waiter !== undefined; waiter = undefined) {"
  },
  {
    name: "do not give up connects when the pool closes",
    file: "connections.ts",
    from: "    this.interrupt(this.tasks.get(slot))\n  }\n\n  nextId",
    to: "  }\n\n  nextId"
  },
  {
    name: "wait for leases for ever when the pool closes",
    file: "webSocketPool.ts",
    from: "    this.timers.set(this.patience, now + shutdownTimeout)\n",
    to: ""
  },
  {
    name: "wait for a closing handshake for ever",
    file: "link.ts",
    from: "      this.socket.close(code, reason)\n      this.host.timers.set(this, this.host.timers.now() + this.host.closeTimeout)\n",
    to: "      this.socket.close(code, reason)\n      this.host.timers.clear(this)\n"
  },
  {
    name: "count a release twice",
    file: "webSocketPool.ts",
    from: "    this.journal.released(link, lease.since)\n",
    to: "    this.journal.released(link, lease.since)\n    this.journal.totals.released += 1\n"
  },
  {
    name: "lease a connection while it is being drained",
    file: "connections.ts",
    from: '    if (drain.quietPeriod > 0) return "Settle"\n',
    to: ""
  },
  {
    name: "take a failed hook for a success",
    file: "connections.ts",
    from: "    return Exit.isSuccess(exit)\n  }\n\n  // Closing",
    to: '    return Exit.isSuccess(exit) || hook !== ""\n  }\n\n  // Closing'
  },
  {
    name: "leave the timers of a closed pool running",
    file: "webSocketPool.ts",
    from: "    this.timers.stop()\n",
    to: ""
  },
  {
    name: "lose a message when receive is interrupted",
    file: "link.ts",
    from: "      this.claimant = fiber\n      return take\n",
    to: "      this.claimant = fiber\n      return Effect.zipLeft(take, Effect.yieldNow())\n"
  }
]

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "600" },
    steps: { type: "string", default: "80" },
    only: { type: "string" }
  }
})

const root = fileURLToPath(new URL("../..", import.meta.url))

/** A loop without end is found, too: by this many milliseconds. */
const patience = 60_000

const run = (mutation: Mutation): Promise<string | undefined> => {
  const folder = mkdtempSync(join(tmpdir(), "mutation-"))
  const file = join(folder, "src/internal", mutation.file)
  for (const name of ["src", "test/simulation", "tsconfig.json", "package.json"]) {
    cpSync(join(root, name), join(folder, name), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  const source = readFileSync(file, "utf8")
  if (!source.includes(mutation.from))
    throw new Error(`"${mutation.name}" is out of date: its text is not in ${mutation.file}`)
  writeFileSync(file, source.replace(mutation.from, mutation.to))
  return new Promise((resolve) => {
    // Not through the tsx command: that starts a process of its own, which would outlive it.
    const args = [
      "--import",
      "tsx",
      "test/simulation/cli.ts",
      "--quiet",
      "--brief",
      "--seeds",
      values.seeds,
      "--steps",
      values.steps
    ]
    const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString()
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), patience)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      rmSync(folder, { recursive: true, force: true })
      const told = output.split("\n").find((line) => /^seed|Error/.test(line))
      resolve(signal !== null ? "a loop without end" : code === 0 ? undefined : (told ?? "the run broke"))
    })
  })
}

const chosen = mutations.filter(({ name }) => values.only === undefined || name.includes(values.only))
let found = 0
for (const mutation of chosen) {
  const how = await run(mutation)
  if (how !== undefined) found += 1
  console.log(`${how === undefined ? "MISSED" : "found "}  ${mutation.name}${how === undefined ? "" : `: ${how}`}`)
}
console.log(`${found} of ${chosen.length} mutations found`)
if (found < chosen.length) process.exitCode = 1
