/** The page of the monitor in a real browser, and in the demo. */

import { fileURLToPath } from "node:url"
import { Multiplexer, WebSocketPool, WebSocketTransport } from "effect-websocket-pool"
import * as WebSocketPoolMonitor from "effect-websocket-pool/WebSocketPoolMonitor"
import type { Page } from "playwright-core"
import * as Effect from "#effect/Effect"
import * as Exit from "#effect/Exit"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Scope from "#effect/Scope"
import * as Stream from "#effect/Stream"
import { edition } from "#support/edition"
import { repeated } from "#support/fibers"
import { assert, describe, it, layer } from "#support/vitest"
import { serveMonitor } from "#support/web"
import * as Process from "../servers/support/process.js"
import { Browser, browser, open, program, says, text, until } from "../support/browser.js"

const numberIn = (page: Page, selector: string) =>
  Effect.map(text(page, selector), (shown) => Number(shown.replaceAll(",", "")))

/** Serves a monitor at `/ops/pool` until the scope closes, and gives its port. */
const serve = (pool: Parameters<typeof WebSocketPoolMonitor.router>[0], port = 0) =>
  Effect.map(serveMonitor(pool, port, "/ops/pool"), (address) => Number(new URL(address).port))

const pageAt = (port: number) => `http://127.0.0.1:${port}/ops/pool`

const echo = WebSocketTransport.layerMemory((peer) => Effect.forever(Effect.flatMap(peer.receive, peer.send)))

const makePool = (options: Partial<WebSocketPool.Options> = {}) =>
  WebSocketPool.make({ url: "ws://server.test", name: "speech", maxConnections: 8, ...options }).pipe(
    Effect.provide(echo)
  )

/** A protocol in which nothing is ever answered, and nothing can be cancelled. */
const silence = (): Multiplexer.Codec<string, string> => ({
  encode: (id, request) => `${id} ${request}`,
  decode: () => []
})

/** Keeps some connections busy, and now and then one too many. */
const work = (pool: WebSocketPool.WebSocketPool) =>
  Effect.forEach(
    Array.from({ length: 12 }),
    () =>
      pool
        .use((connection) =>
          connection.send("ping").pipe(Effect.andThen(connection.receive), Effect.delay("20 millis"))
        )
        .pipe(Effect.ignore, Effect.delay("10 millis"), Effect.forever),
    { concurrency: "unbounded", discard: true }
  )

describe.skipIf(program === undefined)(Process.title("the monitor in Chromium", "chromium", "chromium"), () => {
  layer(Layer.effect(Browser, browser), { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("shows a pool at work, and complains of nothing", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        yield* Effect.forkScoped(work(pool))
        const tab = yield* open(pageAt(yield* serve(pool)))
        const { page } = tab
        yield* says(tab, "Live")
        assert.strictEqual(yield* text(page, "h1"), "speech")
        assert.strictEqual(yield* text(page, "#limits"), "keeps 0 to 8 connections")
        assert.strictEqual(yield* text(page, "#of"), "of 8")

        const leases = numberIn(page, '[data-total="acquired"]')
        const before = yield* leases
        yield* until(leases, (now) => now > before + 100)
        yield* until(text(page, "#rate"), (rate) => Number(rate.replaceAll(",", "")) > 0)
        yield* until(text(page, "#held .tail b"), (tail) => /^[\d.]+ m?s$/.test(tail))
        yield* until(
          Effect.promise(() => page.locator("#states canvas").getAttribute("aria-label")),
          (label) => /^Connections: busy [1-8], draining 0, .*, idle [0-8], limit 8$/.test(label ?? "")
        )

        const isBlueIn = (chart: string) =>
          Effect.promise(() =>
            page.locator(`#${chart} canvas`).evaluate((canvas) => {
              // From a copy: Chromium has an opinion on reading back what is drawn often.
              const { height, width } = canvas
              const copy = Object.assign(canvas.ownerDocument.createElement("canvas"), { height, width })
              const context = copy.getContext("2d", { willReadFrequently: true })
              context.drawImage(canvas, 0, 0)
              const { data } = context.getImageData(0, 0, width, height)
              const blue = [47, 107, 216]
              for (let i = 0; i < data.length; i += 4) if (blue.every((part, at) => data[i + at] === part)) return true
              return false
            })
          )
        for (const chart of ["states", "waited", "held"]) yield* until(isBlueIn(chart), (isBlue) => isBlue)

        const rows = page.locator("#connections tbody tr")
        yield* until(
          Effect.promise(() => rows.count()),
          (count) => count === 8
        )
        const cells = yield* Effect.promise(() => rows.first().locator("td:visible").allInnerTexts())
        assert.strictEqual(cells[0], "speech-1")
        assert.match(cells[1]!, /^(busy|idle)$/)
        assert.match(cells[2]!, /^\d+\.\d s$/)
        assert.match(cells[7]!, /^[\d.]+ (k?B)$/)
        assert.deepStrictEqual(tab.complaints, [])
        assert.strictEqual(tab.streams(), 1)
      })
    )

    it.effect("sorts its connections, and shows the leases among the events, by keyboard", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        for (const messages of [3, 1, 2]) {
          const send = (connection: { readonly send: (message: string) => Effect.Effect<void, unknown> }) =>
            repeated(connection.send("hello"), messages - 1)
          yield* Effect.flatMap(pool.getNew, send)
        }
        const tab = yield* open(pageAt(yield* serve(pool)))
        const { page } = tab
        yield* says(tab, "Live")
        const ids = Effect.promise(() => page.locator("#connections tbody td:first-child").allInnerTexts())
        assert.deepStrictEqual(yield* ids, ["speech-1", "speech-2", "speech-3"])

        const press = (key: string) => Effect.promise(() => page.keyboard.press(key))
        yield* Effect.promise(() => page.getByRole("button", { name: "Msgs out" }).focus())
        yield* press("Enter")
        assert.deepStrictEqual(yield* ids, ["speech-1", "speech-3", "speech-2"])
        yield* press("Enter")
        assert.deepStrictEqual(yield* ids, ["speech-2", "speech-3", "speech-1"])
        const sorted = page.locator("th[aria-sort]")
        assert.deepStrictEqual(yield* Effect.promise(() => sorted.allInnerTexts()), ["Msgs out"])
        assert.strictEqual(yield* Effect.promise(() => sorted.getAttribute("aria-sort")), "ascending")

        const kinds = Effect.promise(() => page.locator("#events tbody td:nth-child(2)").allInnerTexts())
        yield* pool.use(() => Effect.void)
        yield* until(kinds, (kinds) => kinds.includes("ConnectionOpened"))
        assert.notInclude(yield* kinds, "Acquired")
        yield* Effect.promise(() => page.getByRole("checkbox").focus())
        yield* press("Space")
        assert.includeMembers(yield* kinds, ["Acquired", "Released", "ConnectionOpened"])
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    it.effect("shows requests that share connections, and nothing of them for a pool without", () =>
      Effect.gen(function* () {
        const plain = yield* makePool()
        yield* plain.use(() => Effect.void)
        const pool = yield* makePool({ name: "shared", maxConnections: 2 })
        const make = Multiplexer.make({ codec: silence, concurrency: 3, targetUtilization: 1 })
        const requests = yield* Effect.provideService(make, WebSocketPool.WebSocketPool, pool)
        yield* Effect.forkScoped(Stream.runDrain(requests.stream("stream")))
        const given = yield* Effect.forkScoped(requests.request("given up"))
        yield* until(requests.stats, ({ inFlight }) => inFlight === 2)
        yield* Fiber.interrupt(given)
        for (let asked = 0; asked < 3; asked += 1) yield* Effect.forkScoped(requests.request("question"))

        const tab = yield* open(pageAt(yield* serve([plain, pool])))
        const { page } = tab
        const isVisible = (selector: string) => Effect.promise(() => page.locator(selector).first().isVisible())
        const shown = Effect.forEach(["#requests", "#carried", '[data-sort="inFlight"]', "td.of-requests"], isVisible)
        yield* says(tab, "Live")
        yield* until(text(page, "#connections tbody"), (rows) => rows.includes("speech-1"))
        assert.deepStrictEqual(yield* shown, [false, false, false, false])

        yield* Effect.promise(() => page.locator("#pools button").nth(1).press("Enter"))
        yield* until(text(page, "h1"), (name) => name === "shared")
        yield* until(text(page, "#in-flight"), (inFlight) => inFlight === "4")
        assert.deepStrictEqual(yield* shown, [true, true, true, true])
        assert.strictEqual(yield* text(page, "#abandoned"), "1")
        assert.strictEqual(yield* text(page, "#cancelled"), "1 cancelled")
        assert.strictEqual(yield* text(page, "#streams"), "1")
        assert.strictEqual(yield* text(page, "#lagged"), "0")
        assert.strictEqual(yield* text(page, "#unmatched"), "0 unmatched")
        yield* until(
          Effect.promise(() => page.locator("#carried canvas").getAttribute("aria-label")),
          (label) => label === "Requests: in flight 4, streams 1, abandoned 1"
        )
        const rows = Effect.promise(async () => {
          const rows = await page.locator("#connections tbody tr").all()
          return Promise.all(rows.map((row) => row.locator("td:first-child, .of-requests").allInnerTexts()))
        })
        assert.deepStrictEqual(yield* rows, [
          ["shared-1", "2 of 3", "1", "1"],
          ["shared-2", "2 of 3", "0", "0"]
        ])
        yield* Effect.promise(() => page.getByRole("button", { name: "Abandoned" }).press("Enter"))
        yield* Effect.promise(() => page.getByRole("button", { name: "Abandoned" }).press("Enter"))
        assert.deepStrictEqual(
          (yield* rows).map(([id]) => id),
          ["shared-2", "shared-1"]
        )
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    it.effect("says that the pool is closed, and does not go on asking", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        yield* pool.use(() => Effect.void)
        const port = yield* serve(pool)
        const watching = yield* open(pageAt(port))
        yield* says(watching, "Live")
        yield* pool.close
        yield* says(watching, "The pool is closed")

        const late = yield* open(`${pageAt(port)}/`)
        yield* says(late, "The pool is closed")
        yield* Effect.sleep("3 seconds") // More than it takes to ask again after an accident.
        for (const tab of [watching, late]) {
          assert.deepStrictEqual(tab.complaints, [])
          assert.strictEqual(tab.streams(), 1)
          assert.strictEqual(yield* text(tab.page, "#status-text"), "The pool is closed")
        }
      })
    )

    it.effect("holds no server up that shuts down, and goes on when there is one again", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const scope = yield* Scope.make()
        const port = yield* Scope.provide(serve(pool), scope)
        const tab = yield* open(pageAt(port))
        yield* says(tab, "Live")
        // It does not wait for the page.
        yield* Effect.timeout(Scope.close(scope, Exit.void), "4 seconds")
        yield* says(tab, "No connection to the monitor, trying again")

        yield* serve(yield* makePool({ name: "another" }), port)
        yield* says(tab, "Live")
        assert.strictEqual(yield* text(tab.page, "h1"), "another")
      })
    )

    it.effect("shows what was recorded before it was opened, repeated events on one line, and finds them", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const recording = yield* WebSocketPoolMonitor.record(pool)
        for (let times = 0; times < 3; times += 1) yield* pool.use((connection) => connection.discard)
        yield* Effect.sleep("1200 millis") // A moment is recorded every second.
        const tab = yield* open(pageAt(yield* serve(recording)))
        const { page } = tab
        yield* says(tab, "Live")
        const line = page.locator("#events tbody tr")
        const lines = Effect.promise(() => line.allInnerTexts())
        yield* until(lines, (lines) => lines.length === 2)
        const [closed, opened] = yield* lines
        assert.match(closed!, /ConnectionClosed\s+speech-3\s+×3\s+code 1000, age \d+ ms, Discarded/)
        assert.match(opened!, /ConnectionOpened\s+speech-3\s+×3\s+elapsed/)

        const filter = page.getByRole("searchbox", { name: "Filter events" })
        yield* Effect.promise(() => filter.fill("DISCARDED speech-3"))
        assert.strictEqual((yield* lines).length, 1)
        yield* Effect.promise(() => filter.fill("discarded speech-4"))
        assert.strictEqual((yield* lines).length, 0)
        assert.strictEqual(yield* text(page, "#no-events"), "None that matches the filter.")
        yield* Effect.promise(() => filter.fill(""))
        assert.strictEqual((yield* lines).length, 2)

        yield* Effect.promise(() => page.getByText("Options in force").click())
        assert.match(yield* text(page, "#options"), /acquireTimeout\s+30s/)
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    it.effect("goes back ten minutes if it was recorded that long, or if asked to", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const url = pageAt(yield* serve(pool))
        const served = yield* Effect.promise(() => fetch(`${url}/events`))
        const reader = served.body!.getReader()
        const { value } = yield* Effect.promise(() => reader.read())
        yield* Effect.promise(() => reader.cancel())
        const [, retry, data] = /^(retry: .*\n)data: (.*)\n\n$/.exec(new TextDecoder().decode(value))!
        const sample = JSON.parse(data!)
        const [moment] = sample.history.moments
        const ago = (seconds: number, failures: number) => ({ ...moment, at: sample.now - seconds * 1000, failures })

        const browser = yield* Browser
        const openWith = (moments: ReadonlyArray<unknown>) =>
          Effect.gen(function* () {
            const context = yield* Effect.acquireRelease(
              Effect.promise(() => browser.newContext()),
              (context) => Effect.promise(() => context.close())
            )
            const page = yield* Effect.promise(() => context.newPage())
            const body = `${retry}data: ${JSON.stringify({ ...sample, history: { ...sample.history, moments } })}\n\n`
            yield* Effect.promise(() =>
              page.route("**/events", (route) => route.fulfill({ body, contentType: "text/event-stream" }))
            )
            yield* Effect.promise(() => page.goto(url))
            yield* until(text(page, "h1"), (name) => name === "speech")
            return page
          })
        const failures = (page: Page) =>
          Effect.map(
            Effect.all([text(page, "#failures-title"), text(page, "#failures")]),
            ([title, count]) => `${title}: ${count}`
          )
        const press = (page: Page, name: string) =>
          Effect.promise(() => page.getByRole("button", { name }).press("Enter"))

        const short = yield* openWith([ago(100, 4), ago(50, 3)])
        assert.strictEqual(yield* failures(short), "Failures in 2 minutes: 7")

        const long = yield* openWith([ago(500, 8), ago(100, 4), ago(50, 3)])
        assert.strictEqual(yield* failures(long), "Failures in 10 minutes: 15")
        yield* press(long, "2 min")
        assert.strictEqual(yield* failures(long), "Failures in 2 minutes: 7")
        yield* press(long, "10 min")
        assert.strictEqual(yield* failures(long), "Failures in 10 minutes: 15")
      })
    )

    it.effect("shows several pools, one at a time, and keeps the choice when it is loaded again", () =>
      Effect.gen(function* () {
        const pools = [yield* makePool(), yield* makePool({ name: "other" }), yield* makePool({ maxConnections: 1 })]
        yield* pools[2]!.get
        yield* Effect.forkScoped(Effect.scoped(pools[2]!.get))
        const tab = yield* open(pageAt(yield* serve(pools)))
        const { page } = tab
        yield* says(tab, "Live")
        assert.strictEqual(yield* text(page, "h1"), "speech (1)")
        const buttons = page.locator("#pools button")
        yield* until(
          Effect.promise(() => buttons.allInnerTexts()),
          (texts) => texts[2]!.replace(/\s+/g, " ") === "speech (2) 1 of 1 in use, 1 waiting"
        )

        yield* Effect.promise(() => buttons.nth(2).press("Enter"))
        yield* until(text(page, "h1"), (name) => name === "speech (2)")
        yield* says(tab, "Live")
        assert.strictEqual(yield* text(page, "#waiting"), "1")
        assert.strictEqual(yield* text(page, "#connections tbody td:first-child"), "speech-1")
        yield* Effect.promise(() => page.reload())
        yield* says(tab, "Live")
        assert.strictEqual(yield* text(page, "h1"), "speech (2)")
        assert.strictEqual(yield* Effect.promise(() => page.locator('#pools [aria-pressed="true"]').count()), 1)
        assert.deepStrictEqual(tab.complaints, [])
      })
    )

    it.effect("fits on a phone, whatever the pool is called", () =>
      Effect.gen(function* () {
        const name = `speech-of-${"somebody-".repeat(12)}else`
        const pool = yield* makePool({ name })
        yield* pool.use(() => Effect.void)
        yield* Effect.provideService(Multiplexer.make({ codec: silence }), WebSocketPool.WebSocketPool, pool)
        const url = pageAt(yield* serve([pool, ...(yield* Effect.replicateEffect(makePool(), 20))]))
        for (const colorScheme of ["light", "dark"] as const) {
          const tab = yield* open(url, { viewport: { width: 320, height: 740 }, colorScheme })
          yield* says(tab, "Live")
          const overflow = yield* Effect.promise(() =>
            tab.page.locator("html").evaluate((html) => html.scrollWidth - html.clientWidth)
          )
          assert.strictEqual(overflow, 0)
          assert.strictEqual(yield* text(tab.page, "#in-flight"), "0")
          assert.strictEqual(yield* text(tab.page, "#connections tbody td:first-child"), `${name}-1`)
          assert.deepStrictEqual(tab.complaints, [])
        }
      })
    )
  })
})

describe("the monitor's stream", () => {
  it.live("is forgotten when its client goes away", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      let listeners = 0
      const listening = Effect.acquireRelease(
        Effect.sync(() => {
          listeners += 1
        }),
        () =>
          Effect.sync(() => {
            listeners -= 1
          })
      )
      const events = Stream.unwrap(Effect.as(listening, pool.events))
      const port = yield* serve(Object.create(pool, { events: { value: events } }))
      const going = new AbortController()
      yield* Effect.promise(() => fetch(`${pageAt(port)}/events`, { signal: going.signal }))
      const count = Effect.sync(() => listeners)
      yield* until(count, (listeners) => listeners === 1)
      going.abort()
      yield* until(count, (listeners) => listeners === 0)
    })
  )
})

describe.runIf(edition === 3)("the demo with --monitor", () => {
  it.live("serves the page from its beginning, tells of its end, and waits for nobody", () =>
    Effect.gen(function* () {
      const demo = yield* Process.run(process.execPath, [
        ...["--import", "tsx", fileURLToPath(new URL("../../examples/demo.ts", import.meta.url))],
        ...["--monitor", "--seconds", "2"]
      ])
      const [, address] = yield* demo.printed(/^The pool, live: (http:\/\/127\.0\.0\.1:\d+\/)$/m)
      const page = yield* Effect.promise(() => fetch(address!))
      assert.include(yield* Effect.promise(() => page.text()), "Last hundred events")
      const stream = yield* Effect.promise(() => fetch(`${address}events`))
      const told = yield* Effect.promise(() => stream.text()) // To its end.
      assert.match(told, /^retry: 2000\ndata: .*"state":"open"/)
      assert.match(told, /\n\nretry: 10000\ndata: .*"state":"closed".*\n\n$/)
      yield* demo.printed(/^left open +0 connections in the pool, 0 sockets at the server$/m)
    })
  )
})
