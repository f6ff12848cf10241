/**
 * Six incidents, staged: what the log says by itself within ten seconds, and what the page says at a glance. With
 * `SCREENSHOTS=folder` each test leaves pictures of its page there.
 */
import { WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import type { Page } from "playwright-core"
import * as Effect from "#effect/Effect"
import * as Layer from "#effect/Layer"
import * as Schedule from "#effect/Schedule"
import type * as Scope from "#effect/Scope"
import { recordLines } from "#support/telemetry"
import { assert, describe, it } from "#support/vitest"
import { serveMonitor } from "#support/web"
import * as Process from "../servers/support/process.js"
import { Browser, browser, open, program, says, type Tab, text, until } from "../support/browser.js"

type Peer = WebSocketTransport.MemoryPeer

interface Incident {
  readonly options: Partial<WebSocketPool.Options>
  readonly server: (peer: Peer) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly accept?: () => Effect.Effect<unknown, number>
  /** What callers do, and what else happens. */
  readonly plot: (pool: WebSocketPool.WebSocketPool) => Effect.Effect<unknown>
  /** A line of the log that tells the cause. */
  readonly line: RegExp
  /** What is said above everything else on the page. */
  readonly notice: ReadonlyArray<RegExp>
  /** Other places of the page, by selector. */
  readonly places?: Readonly<Record<string, RegExp>>
}

const mute = (peer: Peer) => Effect.forever(peer.receive)

const echoAfter = (millis: number) => (peer: Peer) =>
  Effect.forever(Effect.flatMap(peer.receive, (message) => Effect.delay(peer.send(message), millis)))

const exchange = (
  connection: { send: (message: string) => Effect.Effect<void, unknown> } & { receive: Effect.Effect<unknown, unknown> }
) => Effect.andThen(connection.send("?"), connection.receive)

/** So many fibers, over and over, with a pause in between, in a span of that name. */
const callers = (
  count: number,
  span: string,
  call: Effect.Effect<unknown, unknown>,
  pause: `${number} millis` = "50 millis"
) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.withSpan(Effect.ignore(call), span).pipe(Effect.andThen(Effect.sleep(pause)), Effect.forever),
    { concurrency: "unbounded", discard: true }
  )

const together = (...plots: ReadonlyArray<Effect.Effect<unknown>>) =>
  Effect.forEach(plots, (plot) => plot, { concurrency: "unbounded", discard: true })

/** A server that is there for a while, and then for a while not. */
const flapping = () => {
  const server = { isAway: false }
  const peers = new Set<Peer>()
  const toggle = Effect.gen(function* () {
    server.isAway = !server.isAway
    if (server.isAway) for (const peer of peers) yield* peer.destroy
    peers.clear()
  })
  return {
    handle: (peer: Peer) => {
      peers.add(peer)
      return echoAfter(0)(peer)
    },
    accept: () => Effect.suspend(() => (server.isAway ? Effect.fail(503) : Effect.void)),
    flap: Effect.forever(Effect.delay(toggle, "600 millis"))
  }
}

const flaps = flapping()

const incidents: Readonly<Record<string, Incident>> = {
  "a server that has gone mute": {
    options: { maxConnections: 4 },
    server: mute,
    plot: (pool) => callers(7, "ask", pool.use(exchange)),
    line: /^Pool "speech" is exhausted \(4 of 4 leased, 0 draining, 2 others waiting\): a get has waited for 5(\.\d+)?s .* in span "ask", has been held for 5(s|s \d+ms), the last 5(s|s \d+ms) without a message\. Look at .* the server/,
    notice: [
      /^Exhausted: 4 of 4 leased, 3 gets waiting/,
      /The oldest lease, of speech-\d in span ask, has been held for \d+\.\d s, the last \d+\.\d s without a message/,
      /^All of them are held in span ask\.$/
    ],
    places: { "#oldest": /^the oldest for \d+\.\d s$/, "#longest": /^the longest for \d+\.\d s$/ }
  },
  "a slow server": {
    options: { maxConnections: 2, acquireTimeout: "3 seconds" },
    server: echoAfter(1500),
    plot: (pool) => callers(12, "ask", pool.use(exchange)),
    line: /^Pool "speech" is exhausted \(2 of 2 leased, 0 draining, \d others waiting\): none came free in 3(s|s \d+ms)/,
    notice: [
      /^Exhausted: 2 of 2 leased, \d+ gets waiting/,
      /\d+ gets? turned away in the last minute/,
      /Messages come, but leases take long: half of the latest took 1\.\d+ s or more/
    ],
    places: { "#lost-gets-by": /AcquireTimeout \d+/ }
  },
  "a server that refuses": {
    options: { minConnections: 1 },
    server: mute,
    accept: () => Effect.fail(503),
    plot: (pool) => callers(3, "ask", pool.use(exchange), "500 millis"),
    line: /^Pool "speech" could not connect to ws:\/\/server\.test\/ after 1 attempt: the server refused the WebSocket upgrade with status 503/,
    notice: [
      /^The server cannot be reached since \d\d:\d\d:\d\d/,
      /\d+ attempts failed in \d+\.\d s\. The latest: ConnectionUnavailableError \(Handshake\): Pool "speech" could not connect .* status 503/
    ],
    places: { "#failed-by": /^Handshake \d+$/, "#lost-gets-by": /^Unavailable \d+$/ }
  },
  "a server that comes and goes": {
    options: { retry: Schedule.recurs(0) },
    server: flaps.handle,
    accept: flaps.accept,
    plot: (pool) => together(flaps.flap, callers(4, "ask", pool.use(exchange), "100 millis")),
    line: /^Connected again after \d+(ms|s|s \d+ms) \(\d+ failed attempts?\)/,
    notice: [
      /Connections do not last: \d+ connections lost in the last minute/,
      /The latest loss: code 1006, age \d+ ms, Remote/
    ],
    places: { "#closed-by": /Remote \d+/ }
  },
  "a lease that is never given back": {
    options: { maxConnections: 4, leakThreshold: "3 seconds" },
    server: echoAfter(20),
    plot: (pool) =>
      together(
        Effect.withSpan(Effect.ignore(pool.use(() => Effect.never)), "report"),
        callers(2, "ask", pool.use(exchange))
      ),
    line: /^Connection speech-\d has been leased for 3(s|s \d+ms), longer than leakThreshold/,
    notice: [
      /^A lease has been held for \d+\.\d s, longer than leakThreshold/,
      /speech-\d in span report, the last \d+\.\d s without a message/
    ],
    places: { "#leases tbody": /^speech-\d\s+\d+\.\d s\s+none yet\s+report/, "#events tbody": /LeaseLeakSuspected/ }
  },
  "one caller that holds nearly all": {
    options: { maxConnections: 8, acquireTimeout: "3 seconds" },
    server: echoAfter(200),
    plot: (pool) =>
      together(
        callers(
          7,
          "export",
          pool.use((connection) => Effect.forever(exchange(connection)))
        ),
        Effect.delay(
          callers(
            6,
            "ask",
            pool.use((connection) => Effect.delay(exchange(connection), "2 seconds"))
          ),
          "200 millis"
        )
      ),
    line: /^Pool "speech" is exhausted \(8 of 8 leased, .* in span "export", has been held for 3/,
    notice: [/^Exhausted: 8 of 8 leased, \d gets? waiting/, /Of 8 leases, 7 in export, 1 in ask\./],
    places: { "#holders": /^export 7, ask 1$/ }
  }
}

const folder = process.env.SCREENSHOTS

const picture = (page: Page, name: string) =>
  Effect.promise(async () => {
    if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
  })

const isWithin = ({ page }: Tab) =>
  Effect.promise(() => page.locator("html").evaluate((html) => html.scrollWidth <= html.clientWidth))

const stage = (name: string, { accept, notice, options, line, places = {}, plot, server }: Incident) =>
  Effect.gen(function* () {
    const { layer, lines } = recordLines()
    const pool = yield* WebSocketPool.make({ url: "ws://server.test", name: "speech", ...options }).pipe(
      Effect.provide(Layer.merge(layer, WebSocketTransport.layerMemory(server, accept && { accept })))
    )
    const recording = yield* WebSocketPoolMonitor.record(pool)
    yield* Effect.forkScoped(plot(pool))
    const log = yield* until(
      Effect.sync(() => lines),
      (lines) => lines.some(({ message }) => line.test(message))
    ).pipe(Effect.timeout("10 seconds"), Effect.exit)
    assert.strictEqual(log._tag, "Success", `the log: ${JSON.stringify(lines.map(({ message }) => message))}`)

    // Nobody had a page open when it began.
    const address = yield* serveMonitor(recording)
    const tab = yield* open(address, { viewport: { width: 1280, height: 900 } })
    yield* says(tab, "Live")
    const said = text(tab.page, "#notices")
    const every = (expressions: ReadonlyArray<RegExp>) => (shown: string) =>
      expressions.every((expression) => new RegExp(expression, `${expression.flags}m`).test(shown))
    yield* until(said, every(notice)).pipe(
      Effect.timeout("5 seconds"),
      Effect.catch(() => Effect.flatMap(said, (said) => Effect.sync(() => assert.fail(`the page says: ${said}`))))
    )
    for (const [selector, expression] of Object.entries(places)) {
      const shown = text(tab.page, selector)
      yield* until(shown, every([expression])).pipe(
        Effect.timeout("5 seconds"),
        Effect.catch(() => Effect.flatMap(shown, (text) => Effect.sync(() => assert.fail(`${selector}: ${text}`))))
      )
    }
    yield* picture(tab.page, name)
    const phone = yield* open(address, { viewport: { width: 375, height: 740 }, colorScheme: "dark" })
    yield* says(phone, "Live")
    yield* until(text(phone.page, "#notices"), every(notice)).pipe(Effect.timeout("5 seconds"))
    yield* picture(phone.page, `${name} on a phone`)
    assert.isTrue(yield* isWithin(phone))
    assert.deepStrictEqual([...tab.complaints, ...phone.complaints], [])
  }).pipe(Effect.provide(Layer.effect(Browser, browser)), Effect.scoped)

describe.skipIf(program === undefined)(Process.title("an incident, in Chromium", "chromium", "chromium"), () => {
  for (const [name, incident] of Object.entries(incidents)) {
    it.live(`${name}: the log and the page tell the cause`, () => stage(name, incident), 45_000)
  }
})
