/** What the README says is what there is. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import { PoolError, type WebSocketPool } from "effect-websocket-pool"
import * as defaults from "../src/internal/defaults.js"

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), "utf8")
const readme = read("README.md")

/** The rows of the table below a heading, each a list of cells. */
const table = (heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const section = readme.split(/^## /m).find((section) => section.startsWith(`${heading}\n`)) ?? ""
  const rows = section.split("\n").filter((line) => line.startsWith("|"))
  return rows.slice(2).map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

describe("snippets", () => {
  const fences = Array.from(
    readme.matchAll(/(?:<!-- (examples\/[\w-]+\.ts) -->\n)?^```(?:ts|typescript)\n([\s\S]*?)^```$/gm)
  )

  /** The part between `// #region readme` and `// #endregion`, if there is one, else the whole file. */
  const shown = (source: string): string =>
    /^\/\/ #region readme\n([\s\S]*?)^\/\/ #endregion$/m.exec(source)?.[1] ?? source

  it("each names its file", () => {
    assert.deepStrictEqual(
      fences.filter(([, file]) => file === undefined).map(([fence]) => fence),
      []
    )
  })

  for (const [, file, code] of fences) {
    if (file !== undefined) it(`${file} is shown word for word`, () => assert.strictEqual(code, shown(read(file))))
  }

  it("shows every example, and each is run by the tests", () => {
    const examples = readdirSync(new URL("../examples", import.meta.url)).filter((file) => /(?<!^demo)\.ts$/.test(file))
    assert.sameMembers(
      fences.map(([, file]) => file),
      examples.map((file) => `examples/${file}`)
    )
    const tests = read("test/examples.integration.test.ts")
    for (const example of examples) assert.include(tests, `../examples/${example.slice(0, -".ts".length)}.`)
  })
})

describe("the table of options", () => {
  const duration = (value: Duration.Duration): string =>
    Duration.isFinite(value) ? `${Duration.toSeconds(value)} s` : "infinity"
  const bytes = (value: number): string => `${value / 1024 / 1024} MiB`
  const none = "none"

  /** The compiler sees to it that no option is missing. */
  const expected: Readonly<Record<keyof WebSocketPool.Options, string>> = {
    url: "required",
    protocols: none,
    headers: none,
    name: "the URL's host",
    minConnections: String(defaults.minConnections),
    maxConnections: String(defaults.maxConnections),
    acquireTimeout: duration(defaults.acquireTimeout),
    maxWaiters: defaults.maxWaiters === Number.POSITIVE_INFINITY ? "unlimited" : String(defaults.maxWaiters),
    connectTimeout: duration(defaults.connectTimeout),
    retry: `${defaults.retryTimes} retries after ${Duration.toMillis(defaults.retryBase)} ms, ${defaults.retryFactor === 2 ? "doubling" : "?"}, jittered`,
    idleTimeout: duration(defaults.idleTimeout),
    connectionTTL: duration(defaults.connectionTTL),
    pingInterval: duration(defaults.pingInterval),
    pingTimeout: duration(defaults.pingTimeout),
    validateAfterIdle: duration(defaults.validateAfterIdle),
    healthCheck: none,
    onConnect: none,
    onRelease: none,
    drain: "off",
    discardOn: "`Exit.isFailure`",
    receiveBuffer: bytes(defaults.receiveBuffer),
    sendBuffer: bytes(defaults.sendBuffer),
    maxPayload: bytes(defaults.maxPayload),
    shutdownTimeout: duration(defaults.shutdownTimeout),
    closeTimeout: duration(defaults.closeTimeout)
  }

  it("has every option with its default, in order", () => {
    assert.deepStrictEqual(
      table("Options").map(([option, value]) => [option, value]),
      Object.entries(expected).map(([option, value]) => [`\`${option}\``, value])
    )
  })

  it("tells the defaults inside of an option", () => {
    const meaning = (option: string) => table("Options").find(([name]) => name === `\`${option}\``)?.[2]
    assert.include(meaning("drain"), `its \`timeout\` is ${duration(defaults.drainTimeout)}`)
    assert.include(meaning("connectionTTL"), `up to ${defaults.connectionTTLJitter * 100} % shorter`)
    assert.include(meaning("validateAfterIdle"), `at most ${duration(defaults.validationTimeout)}`)
  })
})

describe("the table of errors", () => {
  type Tag = PoolError.PoolError["_tag"]
  type Tagged<T extends Tag> = Extract<PoolError.PoolError, { readonly _tag: T }>

  /** The compiler sees to it that no tag and no reason is missing. */
  const expected: {
    readonly [T in Tag]: Readonly<
      Record<
        T extends "ConnectionClosedError" ? PoolError.CloseInitiator : Extract<Tagged<T>, { reason: string }>["reason"],
        true
      >
    >
  } = {
    PoolExhaustedError: { AcquireTimeout: true, TooManyWaiters: true },
    PoolClosedError: {},
    ConnectionUnavailableError: { Timeout: true, Network: true, Tls: true, Handshake: true, Setup: true },
    ConnectionClosedError: { Remote: true, Local: true, Pool: true },
    ConnectionBusyError: { Released: true, Receiving: true }
  }

  it("has every error with its reasons", () => {
    assert.deepStrictEqual(
      table("Errors").map(([tag, when]) => [
        tag,
        Array.from(when?.matchAll(/`"(\w+)"`/g) ?? [], ([, reason]) => reason)
      ]),
      Object.entries(expected).map(([tag, reasons]) => [`\`${tag}\``, Object.keys(reasons)])
    )
  })

  it("has every class of PoolError", () => {
    const classes = Object.entries(PoolError).filter(([, value]) => value.prototype instanceof Error)
    assert.sameMembers(
      Object.keys(expected),
      classes.map(([name]) => name)
    )
  })
})

describe("references", () => {
  it("every relative link leads somewhere", () => {
    const targets = Array.from(readme.matchAll(/\]\(([^)]+)\)/g), ([, target]) => target ?? "")
    const headings = Array.from(readme.matchAll(/^#+ (.+)$/gm), ([, title]) =>
      (title ?? "")
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .replaceAll(" ", "-")
    )
    for (const target of targets) {
      if (target.startsWith("#")) assert.include(headings, target.slice(1))
      else if (!/^https?:/.test(target)) assert.isTrue(existsSync(new URL(`../${target}`, import.meta.url)), target)
    }
  })

  it("every script exists", () => {
    const { scripts } = JSON.parse(read("package.json"))
    for (const [, script] of readme.matchAll(/npm run ([\w:]+)/g)) assert.property(scripts, script ?? "")
  })

  it("has the two commands on lines of their own", () => {
    assert.match(readme, /^```sh\nnpm ci && npm run demo\n```$/m)
    assert.match(readme, /^```sh\nnpm ci && npm test\n```$/m)
  })
})
