/** What the README says is what there is. */
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import { PoolError, type WebSocketPool } from "effect-websocket-pool"
import * as Duration from "#effect/Duration"
import { assert, describe, it } from "#support/vitest"
import * as defaults from "../../src/options/defaults.js"
import { deadLinksIn, deadScriptsIn, pagesIn, parse, read, root, sourceOf, tableBelow } from "../support/markdown.js"

const readme = read("README.md")

const table = (heading: string) => tableBelow(readme, heading)

describe("snippets", () => {
  const fences = parse(readme).fences.filter(({ language }) => language === "ts")

  it("each names its file", () => {
    assert.deepStrictEqual(
      fences.filter((fence) => sourceOf(fence) === undefined).map(({ code }) => code),
      []
    )
  })

  for (const fence of fences) {
    const source = sourceOf(fence)
    if (source === undefined) continue
    it(`${source.file} is shown word for word`, () => assert.strictEqual(fence.code, source.code))
  }

  it("with the docs, mentions every example, and each is run by the tests", () => {
    const examples = readdirSync(resolve(root, "examples")).filter((file) => /(?<!^demo)\.ts$/.test(file))
    const docs = [readme, ...pagesIn("docs").map(read)].join("\n")
    const tests = readdirSync(resolve(root, "test"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => read(`test/${file}`))
      .join("\n")
    for (const example of examples) {
      assert.include(docs, `examples/${example}`)
      const [name, edition] = example.split(".")
      assert.match(tests, new RegExp(edition === "ts" ? `\\bexamples/${name}\\.` : `"#examples/${name}"`))
    }
  })

  it("has both files of an example that differs", () => {
    const files = ["examples", "examples/servers"].flatMap((folder) =>
      readdirSync(resolve(root, folder)).map((file) => `${folder}/${file}`)
    )
    const of = (edition: 3 | 4) =>
      files.filter((file) => file.endsWith(`.${edition}.ts`)).map((file) => file.slice(0, -5))
    assert.sameMembers(of(3), of(4))
  })
})

describe("the figures of Why", () => {
  it("are those that the commands have printed for the page about performance", () => {
    const printed = read("docs/performance.md")
    for (const [what, ours = "", theirs = "", command] of table("Why")) {
      assert.match(command ?? "", /`npm run bench -- --only [a-z]+`/, what)
      for (const figure of [ours, theirs]) assert.include(printed, figure, what)
    }
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
    quota: none,
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
    leakThreshold: duration(defaults.leakThreshold),
    shutdownTimeout: duration(defaults.shutdownTimeout),
    closeTimeout: duration(defaults.closeTimeout)
  }

  it("has every option with its default, once", () => {
    assert.sameDeepMembers(
      table("Options").map(([option, value]) => [option, value]),
      Object.entries(expected).map(([option, value]) => [`\`${option}\``, value])
    )
  })

  it("tells the defaults inside of an option", () => {
    const meaning = (option: string) => table("Options").find(([name]) => name === `\`${option}\``)?.[3]
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
    PoolExhaustedError: { AcquireTimeout: true, TooManyWaiters: true, Quota: true },
    PoolClosedError: {},
    ConnectionUnavailableError: { Timeout: true, Network: true, Tls: true, Handshake: true, Setup: true, Quota: true },
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

  it("has every class of PoolError, but for what only a Multiplexer fails with", () => {
    const classes = Object.entries(PoolError).filter(([, value]) => value.prototype instanceof Error)
    assert.sameMembers(
      [...Object.keys(expected), "LaggedError"], // It is outside of the union, and of the table.
      classes.map(([name]) => name)
    )
    assert.include(readme, "`LaggedError`")
  })
})

describe("references", () => {
  it("every relative link leads somewhere", () => assert.deepStrictEqual(deadLinksIn("README.md"), []))

  it("every script exists", () => assert.deepStrictEqual(deadScriptsIn("README.md"), []))

  it("has the two commands on lines of their own", () => {
    assert.match(readme, /^```sh\nnpm ci && npm run demo\n```$/m)
    assert.match(readme, /^```sh\nnpm ci && npm test\n```$/m)
  })
})
