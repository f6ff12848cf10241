import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { PoolError, type PoolEvent, type WebSocketPool } from "effect-websocket-pool"
import * as Effect from "#effect/Effect"
import { assert, describe, it } from "#support/vitest"
import { type Fault, faults, meet, type Report } from "../support/faults.js"

type FaultName = keyof typeof faults

/** Fields of the error, or what is said of a fault that brings about none. */
type Outcome = Readonly<Record<string, unknown>> | string

interface Expected {
  readonly outcome: Outcome
  readonly recovery: string
  /** How the connection that met the fault is told to have ended. */
  readonly closed?: Pick<Extract<PoolEvent.PoolEvent, { _tag: "ConnectionClosed" }>, "code" | "reason">
}

const opensNew = "the next `get` opens a new one"
const goesOn = "the same connection goes on"

const unavailable = (
  reason: PoolError.ConnectFailureReason,
  isRetryable: boolean,
  status: number | undefined = undefined
): Expected => ({
  // `patient.retry` is two times.
  outcome: {
    _tag: "ConnectionUnavailableError",
    pool: "pool",
    reason,
    status,
    isRetryable,
    attempts: isRetryable ? 3 : 1
  },
  recovery: opensNew
})

const closed = (
  code: number,
  initiator: PoolError.CloseInitiator,
  eventReason: PoolEvent.CloseReason,
  reason = ""
): Expected => ({
  outcome: { _tag: "ConnectionClosedError", connectionId: "pool-1", code, reason, initiator },
  recovery: opensNew,
  closed: { code, reason: eventReason }
})

const fine = (outcome: string, recovery = goesOn): Expected => ({ outcome, recovery })

const beforeOpen = {
  refusedPort: unavailable("Network", true),
  silence: unavailable("Timeout", true),
  silenceForLonger: {
    ...unavailable("Timeout", true),
    outcome: { ...(unavailable("Timeout", true).outcome as object), attempts: 1 }
  },
  resetAtOnce: unavailable("Network", true),
  finAtOnce: unavailable("Network", true),
  status200: unavailable("Handshake", false, 200),
  status301: unavailable("Handshake", false, 301),
  status401: unavailable("Handshake", false, 401),
  status404: unavailable("Handshake", false, 404),
  status429: unavailable("Handshake", true, 429),
  status503: unavailable("Handshake", true, 503),
  wrongKey: unavailable("Handshake", false),
  notHttp: unavailable("Handshake", false),
  trickle: unavailable("Timeout", true),
  hugeHeaders: unavailable("Handshake", false),
  unknownAuthority: unavailable("Tls", false),
  expiredCertificate: unavailable("Tls", false),
  foreignCertificate: unavailable("Tls", false),
  notTls: unavailable("Tls", false),
  exhausted: {
    outcome: { _tag: "PoolExhaustedError", pool: "pool", reason: "AcquireTimeout", lastFailure: undefined },
    recovery: goesOn
  }
} satisfies { readonly [K in FaultName]?: Expected }

const whileOpen = {
  reset: closed(1006, "Remote", "Remote"),
  fin: closed(1006, "Remote", "Remote"),
  close1000: closed(1000, "Remote", "Remote"),
  close1001: closed(1001, "Remote", "Remote"),
  close1005: closed(1005, "Remote", "Remote"),
  close1011: closed(1011, "Remote", "Remote"),
  close4000: closed(4000, "Remote", "Remote", "out of tokens"),
  closeWithoutEnd: closed(1000, "Remote", "Remote"),
  deafToClose: closed(1006, "Local", "Closed"),
  blackHoleWaiting: closed(1006, "Pool", "Unhealthy"),
  blackHoleReceiving: closed(1006, "Pool", "Unhealthy"),
  blackHoleSending: closed(1006, "Pool", "Unhealthy"),
  blackHoleIdle: fine('none; closed with 1006 as `"Unhealthy"` before anybody leases it', opensNew),
  blackHoleValidated: fine("none; the `get` finds out", "that `get` opens a new one"),
  stopsReading: closed(1006, "Pool", "Unhealthy"),
  readsAgain: fine("none; `send` waits, and goes on"),
  tooLarge: closed(1009, "Local", "Protocol"),
  invalidUtf8: closed(1007, "Local", "Protocol"),
  reservedOpcode: closed(1002, "Local", "Protocol"),
  reservedBits: closed(1002, "Local", "Protocol"),
  maskedFrame: closed(1002, "Local", "Protocol"),
  strayContinuation: closed(1002, "Local", "Protocol"),
  longPing: closed(1002, "Local", "Protocol"),
  reservedCode: closed(1002, "Local", "Protocol"),
  pingBetweenFragments: fine("none; it is answered, and the message arrives whole"),
  emptyMessages: fine("none; they are delivered"),
  flood: fine("none; past `receiveBuffer` the server has to wait, and none is lost"),
  floodIdle: fine('none; closed as `"Dirty"`', opensNew),
  floodDrained: fine("none; all are dropped"),
  killed: { ...unavailable("Network", true), recovery: "opened anew in the background" },
  resetUnderLoad: {
    outcome: { _tag: "ConnectionClosedError", code: 1006, reason: "", initiator: "Remote" },
    recovery: "each next `get` opens a new one"
  }
} satisfies { readonly [K in FaultName]?: Expected }

const assertSums = (stats: WebSocketPool.PoolStats): void => {
  const { busy, closing, connecting, draining, idle, total } = stats
  assert.strictEqual(total, idle + busy + draining + connecting + closing)
  assert.strictEqual(stats.opened - stats.closed, idle + busy + draining + closing)
  assert.isAtMost(total, stats.maxConnections)
  assert.strictEqual(stats.acquired - stats.released, 0)
}

const count = (report: Report, condition: (event: PoolEvent.PoolEvent) => boolean): number =>
  report.events.filter(condition).length

/** What holds of every pool, whatever it has met. */
const assertConsistent = (report: Report): void => {
  const { finalStats, stats } = report
  assertSums(stats)
  assert.strictEqual(stats.busy + stats.draining + stats.waiting, 0)
  assertSums(finalStats)
  assert.strictEqual(finalStats.total, 0)
  assert.strictEqual(finalStats.state, "closed")
  // The events, of which there may be more than a listener is kept, say the same as the totals.
  if (finalStats.acquired + finalStats.messagesDropped > 500) return
  assert.strictEqual(
    finalStats.opened,
    count(report, ({ _tag }) => _tag === "ConnectionOpened")
  )
  assert.strictEqual(
    finalStats.closed,
    count(report, ({ _tag }) => _tag === "ConnectionClosed")
  )
  assert.strictEqual(
    finalStats.connectFailures,
    count(report, ({ _tag }) => _tag === "ConnectFailed")
  )
  assert.strictEqual(
    finalStats.exhausted,
    count(report, ({ _tag }) => _tag === "Exhausted")
  )
  assert.strictEqual(
    finalStats.messagesDropped,
    count(report, ({ _tag }) => _tag === "MessageDropped")
  )
  assert.strictEqual(report.events.at(-1)?._tag, "PoolClosed")
}

const assertOutcome = (actual: Report["outcome"], expected: Outcome): void => {
  if (typeof expected === "string" || typeof actual === "string") {
    assert.deepStrictEqual<unknown>(actual, expected)
    return
  }
  assert.isTrue(PoolError.isPoolError(actual))
  const fields = Object.keys(expected).map((field) => [field, Reflect.get(actual, field)])
  assert.deepStrictEqual(Object.fromEntries(fields), expected)
}

// The table

const rows = new Map<string, string>()

const toldOf = (outcome: Report["outcome"]): string => {
  if (typeof outcome === "string") return outcome
  const of = (...details: ReadonlyArray<string>) => `\`${outcome._tag}\`: ${details.join(", ")}`
  switch (outcome._tag) {
    case "ConnectionUnavailableError": {
      const status = outcome.status === undefined ? [] : [String(outcome.status)]
      return of(`\`"${outcome.reason}"\``, ...status, outcome.isRetryable ? "tried again" : "not tried again")
    }
    case "ConnectionClosedError": {
      const reason = outcome.reason === "" ? [] : [`“${outcome.reason}”`]
      return of(String(outcome.code), ...reason, `\`"${outcome.initiator}"\``)
    }
    case "PoolExhaustedError":
    case "ConnectionBusyError":
      return of(`\`"${outcome.reason}"\``)
    case "PoolClosedError":
      return `\`${outcome._tag}\``
  }
}

const boundOf = ({ bound, deadlines }: Fault): string => {
  if (bound !== undefined) return bound
  const names = Object.keys(deadlines ?? {})
  return names.length === 0 ? "at once" : names.map((name) => `\`${name}\``).join(" + ")
}

const tableOf = (names: ReadonlyArray<string>): string =>
  ["| fault | error | bounded by | recovery |", "|---|---|---|---|", ...names.map((name) => rows.get(name))].join("\n")

const run = (name: FaultName, expected: Expected) => {
  const fault: Fault = faults[name]
  it.live(`${fault.name}`, () =>
    Effect.gen(function* () {
      const report = yield* meet(fault)
      assertOutcome(report.outcome, expected.outcome)
      assert.strictEqual(report.recovery, expected.recovery)
      assertConsistent(report)
      if (expected.closed !== undefined) {
        const event = report.events.find(
          (event) => event._tag === "ConnectionClosed" && event.connectionId === "pool-1"
        )
        assert.deepInclude(event, expected.closed)
      }
      if (name in beforeOpen && typeof report.outcome !== "string" && "attempts" in report.outcome) {
        // A port that refuses accepts nobody; the last one is the healthy one.
        assert.strictEqual(report.accepted, name === "refusedPort" ? 1 : report.outcome.attempts + 1)
        assert.strictEqual(report.finalStats.connectFailures, report.outcome.attempts)
      }
      rows.set(name, `| ${fault.name} | ${toldOf(report.outcome)} | ${boundOf(fault)} | ${report.recovery} |`)
    })
  )
}

const sections: ReadonlyArray<readonly [title: string, expected: { readonly [K in FaultName]?: Expected }]> = [
  ["Before a connection is there", beforeOpen],
  ["While it is open", whileOpen]
]

for (const [title, expected] of sections) {
  describe(title, () => {
    for (const [name, one] of Object.entries(expected)) run(name as FaultName, one)
  })
}

describe("docs/faults.md", () => {
  const file = new URL("../../docs/faults.md", import.meta.url)
  const begin = "<!-- faults: WRITE_FAULTS=1 npx vitest run test/pool/faults.integration.test.ts -->"
  const end = "<!-- end of faults -->"

  it("says what these tests have found", () => {
    const tables = sections.map(([title, expected]) => `## ${title}\n\n${tableOf(Object.keys(expected))}`)
    const part = `${begin}\n\n${tables.join("\n\n")}\n\n${end}`
    const text = existsSync(file) ? readFileSync(file, "utf8") : `${begin}${end}\n`
    const from = text.indexOf(begin)
    const to = text.indexOf(end)
    assert.isTrue(from >= 0 && to > from, `docs/faults.md needs the lines ${begin} and ${end}`)
    const written = `${text.slice(0, from)}${part}${text.slice(to + end.length)}`
    if (process.env.WRITE_FAULTS) {
      mkdirSync(new URL(".", file), { recursive: true })
      writeFileSync(file, written)
    } else assert.strictEqual(text, written)
  })

  it("leaves no fault out", () => {
    assert.sameMembers(
      Object.keys(faults),
      sections.flatMap(([, expected]) => Object.keys(expected))
    )
  })
})
