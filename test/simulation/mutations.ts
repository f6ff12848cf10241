import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { kinds } from "./kinds.js"
import { quotaMutations } from "./quotaMutations.js"

/** One way to break it: a text of a file in src, and what to put in its place. */
export interface Mutation {
  readonly name: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** Which kind of pool finds it; by default any may. */
  readonly kind?: string
  /** The file of tests that finds it, where no program of the simulation can. */
  readonly test?: string
  /** Whether it is made wherever the text is, and not in the only place. */
  readonly everywhere?: boolean
}

/** Those of the multiplexer: name, file, text, and what to put in its place. */
const many = (
  rows: ReadonlyArray<readonly [name: string, file: string, from: string, to: string]>
): ReadonlyArray<Mutation> =>
  rows.map(([name, file, from, to]) => ({ name, file: `requests/${file}.ts`, from, to, kind: "requests" }))

const mutations: ReadonlyArray<Mutation> = [
  {
    name: "forget what a cancelled waiter was given",
    file: "core/slotPool.ts",
    from: "if (waiter.granted !== undefined)",
    to: "if (waiter.granted === null)"
  },
  {
    name: "free a slot before its socket is gone",
    file: "pool/connections.ts",
    from: 'link.close(code, "", "Pool", reason)',
    to: 'link.close(code, "", "Pool", reason); this.pool.closed(slot)'
  },
  {
    name: "ignore discard and discardOn",
    file: "pool/connections.ts",
    from: "if (link.isUnfit) return",
    to: "if (link.isUnfit && this.timers.now() < 0) return"
  },
  {
    name: "reuse a connection with an unread message",
    file: "pool/settling.ts",
    from: 'link.inbox.isRead ? "Reuse" : "Dirty"',
    to: '"Reuse"'
  },
  {
    name: "keep a message that comes between two leases",
    file: "connection/link.ts",
    from: "this.lease !== undefined || this.leases === 0",
    to: "this.lease !== undefined || this.leases >= 0"
  },
  {
    name: "drop an unread message without counting it",
    file: "connection/reading.ts",
    from: "const bytes = this.nextBytes",
    to: "const bytes = this.nextBytes; if (bytes !== undefined) { this.take(); continue }"
  },
  {
    name: "leave the slot of a failed creation taken",
    file: "core/slotPool.ts",
    from: "const waiter = slot.starter ?? slot.heldFor",
    to: "const waiter = slot.starter ?? slot.heldFor; stock.books.slots.add(slot)"
  },
  {
    name: "do not serve when a slot becomes free",
    file: "core/slotPool.ts",
    from: 'this.slots.size === 0) this.rounds.put({ _tag: "Vacate" })\n    this.rounds.serve()',
    to: 'this.slots.size === 0) this.rounds.put({ _tag: "Vacate" })\n    this.rounds.work()'
  },
  {
    name: "do not serve when a lease ends",
    file: "core/slotPool.ts",
    from: 'stock.count.leased === 0) rounds.put({ _tag: "Vacate" })',
    to: 'stock.count.leased === 0) rounds.put({ _tag: "Vacate" })\n    if (slot.uses > 0) return rounds.work()'
  },
  {
    name: "let newcomers overtake",
    file: "core/line.ts",
    from: "this.all.push(waiter)",
    to: "this.all.unshift(waiter)"
  },
  {
    name: "serve the last in line first",
    file: "core/line.ts",
    from: "return this.all.first",
    to: "return this.all.last"
  },
  {
    name: "open one more than the limit",
    file: "core/serving.ts",
    from: "if (!stock.hasRoom) return false",
    to: "if (stock.slots.size > stock.max) return false"
  },
  {
    name: "give getNew an idle connection",
    file: "pool/service.ts",
    from: "const slot = fresh ?",
    to: "const slot = fresh && this.timers.now() < 0 ?",
    everywhere: true
  },
  {
    name: "leave waiters waiting when the pool closes",
    file: "core/waiters.ts",
    from: "waiter !== undefined; waiter = this.line.first",
    to: "waiter === null; waiter = this.line.first"
  },
  {
    name: "do not give up connects when the pool closes",
    file: "pool/opening.ts",
    from: "creation.isAborted = true",
    to: "creation.isAborted = true; return"
  },
  {
    name: "wait for leases for ever when the pool closes",
    file: "pool/shutdown.ts",
    from: "this.timers.set(this.patience,",
    to: "this.timers.clear(this.patience,"
  },
  {
    name: "wait for a closing handshake for ever",
    file: "connection/link.ts",
    from: "this.socket.close(code, reason)",
    to: "this.socket.close(code, reason); return"
  },
  {
    name: "count a release twice",
    file: "pool/leases.ts",
    from: "this.journal.released(link",
    to: "this.journal.totals.released += 1; this.journal.released(link"
  },
  {
    name: "lease a connection while it is being drained",
    file: "pool/settling.ts",
    from: 'if (drain.quietPeriod > 0) return "Settle"',
    to: ""
  },
  {
    name: "take a failed hook for a success",
    file: "pool/hooks.ts",
    from: "return Exit.isSuccess(exit)",
    to: 'return Exit.isSuccess(exit) || hook !== ""'
  },
  {
    name: "leave the timers of a closed pool running",
    file: "pool/shutdown.ts",
    from: "this.timers.stop()",
    to: "",
    everywhere: true
  },
  {
    name: "lose a message when receive is interrupted",
    file: "connection/reading.ts",
    from: "claimFor(this) ? this.take :",
    to: "claimFor(this) ? Effect.tap(this.take, () => Effect.yieldNow) :"
  },
  {
    name: "promise a message to who was interrupted",
    file: "connection/reading.ts",
    from: "if (!isReceiving(receiver)) return false",
    to: "",
    test: "test/connection/reading.test.ts"
  },
  {
    name: "take what was promised for read",
    file: "connection/reading.ts",
    from: "return this.length === 0 && this.untaken === undefined",
    to: "return this.length === 0",
    test: "test/connection/reading.test.ts"
  },
  {
    name: "forget what was kept for a fiber that never takes it",
    file: "connection/reading.ts",
    from: "() => this.source.onDropped(nextBytes)",
    to: "() => nextBytes",
    test: "test/connection/reading.test.ts"
  },
  {
    name: "wait for a message that has come since the look for it",
    file: "connection/reading.ts",
    from: "if (outcome !== undefined) resume(outcome)\n      else this.reader",
    to: "this.reader",
    test: "test/connection/reading.test.ts"
  },
  {
    name: "lend what has passed its check, though it is ending",
    file: "pool/connections.ts",
    from: "return item.isOpen",
    to: "return item.end === undefined"
  },
  {
    name: "lose a canceller until the wait has begun",
    file: "core/cancellable.ts",
    from: "Cause.hasInterrupts(cause) ? cancel()",
    to: "Cause.hasInterrupts(cause) && wake !== undefined ? cancel()"
  },
  {
    name: "try again before Retry-After has passed",
    file: "pool/gate.ts",
    from: "Math.min(millis, longestHold)",
    to: "Math.min(millis, 0)"
  },
  {
    name: "say that it is closed while sockets are still there",
    file: "pool/shutdown.ts",
    from: "turns > 0 && this.connections.hasSockets",
    to: "turns < 0"
  },
  {
    name: "take what the pool renews for a loss",
    file: "pool/connections.ts",
    from: "renewals.has(reason) && lasted >= shortestLife",
    to: "renewals.has(reason) && lasted < 0"
  },
  {
    name: "keep the place of a connection that is lost under a lease",
    file: "core/slotPool.ts",
    from: 'if (!("lost" in transitions[slot.state])) return',
    to: 'if (!("lost" in transitions[slot.state]) || slot.state === "leased") return'
  },

  // Exchanges
  {
    name: "write an ask that was interrupted in line",
    file: "pool/exchange.ts",
    from: "if (this.isWithdrawn) {",
    to: "if (this.isWithdrawn && this.asked < 0) {"
  },
  {
    name: "take the reply for an ask that was interrupted",
    file: "pool/exchange.ts",
    from: "if (this.isWithdrawn) this.interrupted()",
    to: "if (this.isWithdrawn && this.asked < 0) this.interrupted()"
  },
  {
    name: "never notice that an ask was interrupted",
    file: "pool/exchange.ts",
    from: "if (one.isWithdrawn) left.push(one)",
    to: ""
  },
  {
    name: "notice late that an ask was interrupted",
    file: "pool/exchange.ts",
    from: "const sweepInterval = 99",
    to: "const sweepInterval = 199"
  },
  {
    name: "keep the connection of an ask that was interrupted",
    file: "pool/exchange.ts",
    from: 'this.end(state === "sending" ? undefined',
    to: 'this.end(state !== "over" ? undefined'
  },
  {
    name: "keep the place in line of an ask that was interrupted",
    file: "pool/exchange.ts",
    from: "if (waiter !== undefined) this.exchanges.pool.abandon(waiter)",
    to: ""
  },
  {
    name: "keep the lease of an ask that fails",
    file: "pool/exchange.ts",
    from: "    this.end(exit)\n    this.tell(answer)",
    to: "    this.over()\n    this.tell(answer)"
  },
  {
    name: "leave the reader of an ask waiting when its connection ends",
    file: "pool/exchange.ts",
    from: "queueMicrotask(() => this.look(false))",
    to: ""
  },

  // The generic pool, and what only it reaches
  {
    name: "skip the finaliser of an item",
    file: "core/resourcePool.ts",
    from: "this.finalise(slot, slot.item.scope, Exit.void)",
    to: "Effect.sync(() => this.pool.closed(slot))"
  },
  {
    name: "free a place before its item is finalised",
    file: "core/resourcePool.ts",
    from: "Scope.close(scope, exit)",
    to: "Effect.forkDetach(Scope.close(scope, exit))"
  },
  {
    name: "keep what a failed creation had acquired",
    file: "core/resourcePool.ts",
    from: "return this.finalise(slot, scope, exit)",
    to: "return Effect.sync(() => this.pool.closed(slot))"
  },
  {
    name: "finalise what a failed creation had acquired before its failure is told",
    file: "core/resourcePool.ts",
    from: "this.pool.failed(slot, Effect.failCause(exit.cause), false)",
    to: "const tell = Effect.sync(() => this.pool.failed(slot, Effect.failCause(exit.cause)))\nif (exit) return Effect.andThen(Scope.close(scope, exit), tell)"
  },
  {
    name: "start a spare creation in the name of who was given an item",
    file: "core/rounds.ts",
    from: "if (order !== undefined) this.carryOut(order)",
    to: "if (order !== undefined && !this.isDue) this.carryOut(order)"
  },
  {
    name: "lose a place to a finaliser that dies",
    file: "core/resourcePool.ts",
    from: "Effect.catchCause(Scope.close(scope, exit)",
    to: "Effect.tapCause(Scope.close(scope, exit)"
  },
  {
    name: "wait for creations in flight when the pool closes",
    file: "core/resourcePool.ts",
    from: "if (fiber !== undefined) interrupt(fiber)",
    to: ""
  },
  {
    name: "say that it is closed while items are left",
    file: "core/resourcePool.ts",
    from: "if (this.pool.slots.size > 0) return",
    to: ""
  },
  {
    name: "leave the sleep of a closed pool running",
    file: "core/resourcePool.ts",
    from: "this.timers.stop()",
    to: "",
    everywhere: true
  },
  {
    name: "invalidate nothing that is leased",
    file: "core/resourcePool.ts",
    from: 'slot.state === "closing" ||',
    to: 'slot.state === "closing" || slot.state === "leased" ||'
  },
  {
    name: "give back only what was used with success",
    file: "core/resourcePool.ts",
    from: "onExit(restore(Effect.suspend(() => f(slot.item.value))), () => this.pool.release(slot))",
    to: "Effect.tap(restore(Effect.suspend(() => f(slot.item.value))), () => Effect.sync(() => this.pool.release(slot)))"
  },
  {
    name: "replace what was closed on purpose through the back-off",
    file: "core/resourcePool.ts",
    from: 'reason !== "Expired" || lasted >= shortestLife',
    to: "lasted < 0 && reason === undefined"
  },
  {
    name: "ignore targetUtilization",
    file: "core/resourcePool.ts",
    from: "options.targetUtilization ?? 1",
    to: "1"
  },
  {
    name: "ignore concurrency",
    file: "core/resourcePool.ts",
    from: "options.concurrency ?? 1",
    to: "1"
  },
  {
    name: "let no item grow old",
    file: "core/resourcePool.ts",
    from: "byCreation ? timeToLive : Number.POSITIVE_INFINITY",
    to: "Number.POSITIVE_INFINITY"
  },
  {
    name: "let items idle for ever",
    file: "core/resourcePool.ts",
    from: "byCreation ? Number.POSITIVE_INFINITY : timeToLive",
    to: "Number.POSITIVE_INFINITY"
  },
  {
    name: "lend an item once more than concurrency says",
    file: "core/stock.ts",
    from: "slot.leases < this.limits.concurrency",
    to: "slot.leases <= this.limits.concurrency"
  },
  {
    name: "start a creation for each waiter, whatever concurrency is",
    file: "core/serving.ts",
    from: "usage / this.stock.target",
    to: "usage"
  },
  {
    name: "start no creation while one is under way",
    file: "core/serving.ts",
    from: "- sound - shared",
    to: "- sound - shared * 100"
  },
  {
    name: "make no spare item when one is leased at once",
    file: "core/slotPool.ts",
    from: "if (this.limits.targetUtilization < 1) rounds.serve()\n    else rounds.work()",
    to: "rounds.work()"
  },
  {
    name: "close the spare items that targetUtilization calls for",
    file: "core/stock.ts",
    from: '(demand.wanted() < 0 || "Later")',
    to: "true"
  },
  {
    name: "retire nobody when a leased item is doomed",
    file: "core/stock.ts",
    from: "this.loses(slot, reason)\n        this.retire(slot, reason)",
    to: "this.loses(slot, reason)"
  },
  {
    name: "lend again what retires",
    file: "core/stock.ts",
    from: 'if (slot.doom !== undefined) return slot.doom\n    if (this.state !== "open") return "Shutdown"\n    if (this.owed',
    to: 'if (this.state !== "open") return "Shutdown"\n    if (this.owed'
  },
  {
    name: "tell again of each reason to retire",
    file: "pool/connections.ts",
    from: "item.hasRetired = true",
    to: "item.hasRetired = false"
  },
  {
    name: "fill one item to the last place before another",
    file: "core/shelf.ts",
    from: "Math.min(partial.length, target) - 1",
    to: "partial.length - 1"
  },
  {
    name: "fill the fullest first beyond the target, too",
    file: "core/shelf.ts",
    from: "let leases = target; leases < partial.length; leases++",
    to: "let leases = partial.length - 1; leases >= target; leases--"
  },
  {
    name: "close idle items below min",
    file: "core/stock.ts",
    from: "this.kept > this.min && (demand.wanted() < 0",
    to: "this.kept > -1 && (demand.wanted() < 0"
  },
  {
    name: "count the time without use from the creation",
    file: "core/idling.ts",
    from: "oldest.idleSince + this.idleTimeout",
    to: "oldest.createdAt + this.idleTimeout"
  },
  {
    name: "do not serve when one of an item's leases ends",
    file: "core/slotPool.ts",
    from: "if (slot.leases > 0) {",
    to: "if (slot.leases > 0 && slot.doom === undefined) return stock.shelf.putInUse(slot)\nif (slot.leases > 0) {"
  },
  {
    name: "finalise an invalidated item when the first of its holders lets go",
    file: "core/slotPool.ts",
    from: "if (slot.leases > 0) {",
    to: "if (slot.leases > 0 && slot.doom === undefined) {"
  },
  {
    name: "accept what was invalidated after the hand-off",
    file: "core/leasing.ts",
    from: 'if (fitness === "Fit")',
    to: 'if (fitness !== "Over")'
  },
  {
    name: "go on counting an invalidated item that is leased",
    file: "core/books.ts",
    from: "    slot.doom = reason\n",
    to: "    slot.doom = reason\n    this.sound += 1\n"
  },
  {
    name: "fail the first in line when a creation fails",
    file: "core/slotPool.ts",
    from: "const waiter = slot.starter ?? slot.heldFor",
    to: "const waiter = this.waiters.line.first ?? slot.heldFor"
  },
  {
    name: "give up a creation with the waiter that started it",
    file: "core/waiters.ts",
    from: "if (waiter.creation !== undefined) waiter.creation.starter = undefined",
    to: "if (waiter.creation !== undefined) this.driver.abort(waiter.creation)"
  },
  {
    name: "do not pause after a failure to keep min",
    file: "core/slotPool.ts",
    from: 'if (slot.background && stock.state === "open") stock.upkeep.failed()',
    to: ""
  },
  {
    name: "do not try again to keep min when the pause is over",
    file: "core/upkeep.ts",
    from: "makeTimer(resume)",
    to: "makeTimer(() => {})"
  },
  {
    name: "lend the emptiest item first",
    file: "core/shelf.ts",
    from: "let leases = Math.min(partial.length, target) - 1; leases > 0; leases--",
    to: "let leases = 1; leases < Math.min(partial.length, target); leases++"
  },
  {
    name: "lend items in rotation",
    file: "core/shelf.ts",
    from: "return this.used.first ?? this.unused.first",
    to: "return this.used.last ?? this.unused.first"
  },
  {
    name: "lend what was never used first",
    file: "core/shelf.ts",
    from: "return this.used.first ?? this.unused.first",
    to: "return this.unused.first ?? this.used.first"
  },
  {
    name: "sleep on when something falls due earlier",
    file: "core/timers.ts",
    from: "first.due >= this.wakeAt",
    to: "this.sleeper !== undefined"
  },
  ...quotaMutations,

  // Many requests at once
  ...many([
    ["give the same id twice", "session", "this.lastId += 1", "this.lastId += call.isStream ? 0 : 1"],
    [
      "free the place of an abandoned request at once",
      "session",
      "call.isAbandoned = true\n      this.abandoned += 1",
      "this.drop(call)"
    ],
    [
      "keep the place of an abandoned request that is answered",
      "session",
      "(isLast || !call.isStream)) this.drop(call)",
      "isLast && !isLast) this.drop(call)"
    ],
    [
      "send again what a socket has taken",
      "session",
      'if (call.state === "unsent" || call.state === "queued")',
      'if (call.state !== "over")'
    ],
    [
      "give a connection back with cancelled requests unanswered",
      "session",
      "this.isUnfit || !this.ghosts.isEmpty",
      "this.isUnfit"
    ],
    ["send new requests over a connection that retires", "session", "this.host.retired(this, reason)", ""],
    [
      "let requests go on for ever on a connection that retires",
      "session",
      "this.host.timers.now() + this.host.retireTimeout",
      "Number.POSITIVE_INFINITY"
    ],
    [
      "fail all requests where one was refused",
      "session",
      "this.calls.size + this.ghosts.unanswered > this.refusals.length",
      "this.calls.size < 0"
    ],
    [
      "leave a connection full of abandoned requests",
      "session",
      'if (this.abandoned === this.host.concurrency) this.retire("Discarded")',
      ""
    ],
    [
      "send what was interrupted while it waited for room",
      "session",
      "const isWithdrawn = sender !== undefined && this.tenancy.withdraw(sender)",
      "const isWithdrawn = sender !== undefined"
    ],
    [
      "keep the place of an answered request",
      "session",
      "if (call.isAbandoned) this.abandoned -= 1\n    this.host.freed(this)",
      "if (call.isAbandoned) this.abandoned -= 1"
    ],
    ["do not notice that a connection has ended", "session", "this.host.later(() => this.end())", "this.end"],
    [
      "keep the lease of a lost connection",
      "home",
      "session.release(() => this.core.lose(session.slot))",
      "this.core.lose(session.slot)"
    ],
    ["keep a waiter that was interrupted", "home", "if (waiter !== undefined) this.core.abandon(waiter)", ""],
    [
      "wait for requests for ever when a multiplexer closes",
      "home",
      "this.timers.set(this, this.timers.now() + this.estate.pool.settings.shutdownTimeout)",
      ""
    ],
    [
      "let an exclusive stream share its connection",
      "multiplexer",
      "options?.exclusive === true &&",
      "options?.exclusive === undefined &&"
    ],
    [
      "drop an item that comes while its stream is read",
      "call",
      "if (isOver) this.shift()",
      "if (this.unread > 0) this.shift()"
    ],
    [
      "do everything at once that a server asks for",
      "duties",
      "if (this.running.size < this.host.concurrency) this",
      "if (this.running.size >= 0) this"
    ],
    ["forget a task that waits for others", "duties", "if (next !== undefined) this", "if (next === null) this"],
    [
      "go on with tasks of a connection that is lost",
      "duties",
      "for (const fiber of this.running) interrupt(fiber)",
      ""
    ],
    [
      "give a connection back while its server waits for an answer",
      "duties",
      "return this.running.size === 0 && this.owed === 0",
      "return this.owed === 0"
    ]
  ])
]

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "600" },
    steps: { type: "string", default: "80" },
    /** Part of a name. */
    only: { type: "string" },
    /** Those of files whose names begin so. */
    room: { type: "string", default: "" },
    /** Only those that this kind of pool has to find. */
    kind: { type: "string" },
    /** Only see that every mutation can be made. */
    dry: { type: "boolean", default: false }
  }
})

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The folder of the edition that is broken: where this was started. */
const edition = relative(root, process.cwd())

/** A loop without end is found, too: by so many milliseconds without any progress. */
const patience = 120_000

const sourceOf = (file: string): string => join("src", file)

/** The source with the mutation made, or why it cannot be. */
const mutate = ({
  everywhere = false,
  file,
  from,
  to
}: Mutation): { readonly source: string } | { readonly problem: string } => {
  const parts = readFileSync(join(root, sourceOf(file)), "utf8").split(from)
  if (parts.length === 2 || (everywhere && parts.length > 1)) return { source: parts.join(to) }
  return {
    problem: `${JSON.stringify(from)} is ${parts.length === 1 ? "not" : `${parts.length - 1} times`} in ${file}`
  }
}

/** How a simulation of this kind finds that something is broken, if it does before it is stopped. */
const simulate = (folder: string, kind: string, stop: AbortSignal): Promise<string | undefined> => {
  // Not through the tsx command: that starts a process of its own, which would outlive it.
  const command = ["--import", "tsx", "test/simulation/cli.ts", "--brief", "--only", kind]
  // Whoever asks a real engine takes longer.
  const seeds = kind === "engine" ? String(Math.ceil(Number(values.seeds) / 10)) : values.seeds
  return watch(folder, kind, [...command, "--seeds", seeds, "--steps", values.steps], /: seed \d+ fails|Error/, stop)
}

/** How a file of tests finds it. */
const test = (folder: string, file: string): Promise<string | undefined> =>
  watch(
    join(folder, edition),
    file,
    ["node_modules/vitest/vitest.mjs", "run", file],
    /Error: |Violation: /,
    new AbortController().signal
  )

const watch = (
  folder: string,
  what: string,
  args: ReadonlyArray<string>,
  tells: RegExp,
  stop: AbortSignal
): Promise<string | undefined> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: folder,
      env: {
        ...process.env,
        NO_COLOR: "1",
        TSX_TSCONFIG_PATH: join(folder, edition, edition === "" ? "tsconfig.json" : "tsconfig.tsx.json")
      },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: tests run in processes of their own, which may be in a loop without end.
      detached: true
    })
    const end = (): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL")
    }
    stop.addEventListener("abort", end)
    let output = ""
    const timer = setTimeout(end, patience)
    const add = (chunk: Buffer): void => {
      output += chunk.toString()
      timer.refresh()
    }
    child.stdout.on("data", add)
    child.stderr.on("data", add)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      const told = output.split("\n").find((line) => tells.test(line))
      if (stop.aborted) resolve(undefined)
      else if (signal !== null) resolve(`${what}: a loop without end`)
      else resolve(code === 0 ? undefined : (told ?? `${what}: it broke`))
    })
  })

/** What has a quota at all; the pools of the others have none. */
const quotaKinds = ["quota", "engine"]

const kindsFor = (mutation: Mutation | undefined, kind: string | undefined): ReadonlyArray<string> =>
  kinds
    .map(({ name }) => name)
    .filter((name) => kind === undefined || name === kind)
    .filter((name) => mutation === undefined || mutation.file.startsWith("quota/") === quotaKinds.includes(name))

/** How the first kind of pool finds it that does; without a mutation, what is wrong with one of them. */
const run = async (kind?: string, mutation?: Mutation, file?: string): Promise<string | undefined> => {
  const folder = mkdtempSync(join(tmpdir(), "mutation-"))
  try {
    const files = [
      ...["tsconfig.json", "package.json"],
      ...(edition === "" ? [] : ["tsconfig.tsx.json"]),
      ...(file === undefined ? [] : ["vitest.config.ts"])
    ]
    const tests = file === undefined ? [] : ["test/setup.ts", "test/projects.ts", file]
    const copied = [
      "src",
      "test/simulation",
      "test/support",
      "tsconfig.json",
      ...tests,
      ...files.map((file) => join(edition, file))
    ]
    for (const name of copied) cpSync(join(root, name), join(folder, name), { recursive: true })
    for (const name of new Set(["node_modules", join(edition, "node_modules")])) {
      symlinkSync(join(root, name), join(folder, name))
    }
    if (mutation !== undefined) {
      const mutated = mutate(mutation)
      if ("problem" in mutated) throw new Error(mutated.problem)
      writeFileSync(join(folder, sourceOf(mutation.file)), mutated.source)
    }
    if (file !== undefined) return await test(folder, file)
    const stop = new AbortController()
    const found = await Promise.all(
      kindsFor(mutation, kind).map(async (name) => {
        const how = await simulate(folder, name, stop.signal)
        if (how !== undefined) stop.abort()
        return how
      })
    )
    return found.find((how) => how !== undefined)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { kind: ofKind, only, room } = values
const chosen = mutations.filter(
  ({ file, kind, name }) =>
    file.startsWith(room) && (only === undefined || name.includes(only)) && (ofKind === undefined || kind === ofKind)
)

const outdated = chosen.flatMap((mutation) => {
  const mutated = mutate(mutation)
  return "problem" in mutated ? [`out of date: "${mutation.name}": ${mutated.problem}`] : []
})
if (outdated.length > 0 || chosen.length === 0) {
  console.error(outdated.length > 0 ? outdated.join("\n") : "no mutation has this name")
  process.exit(2)
}
if (values.dry) {
  console.log(`all ${chosen.length} mutations can be made`)
  process.exit()
}

const none = room === "" ? undefined : chosen[0] && { ...chosen[0], to: chosen[0].from }
const files = new Set(chosen.flatMap(({ test }) => test ?? []))
for (const file of [undefined, ...files]) {
  const wrong = await run(ofKind, none, file)
  if (wrong !== undefined) {
    console.error(`it fails without any mutation\n  ${wrong}`)
    process.exit(2)
  }
}

let missed = 0
for (const mutation of chosen) {
  const how = await run(mutation.kind, mutation, mutation.test)
  if (how === undefined) missed += 1
  console.log(how === undefined ? `MISSED  ${mutation.name}` : `found   ${mutation.name}\n          ${how}`)
}
console.log(`${chosen.length - missed} of ${chosen.length} mutations found`)
if (missed > 0) process.exitCode = 1
