/** Chromium, through its DevTools protocol. */

import { PoolEvent, WebSocketPool } from "effect-websocket-pool"
import { NodeWebSocketPool } from "effect-websocket-pool/node"
import * as Context from "#effect/Context"
import * as Effect from "#effect/Effect"
import * as Fiber from "#effect/Fiber"
import * as Layer from "#effect/Layer"
import * as Option from "#effect/Option"
import * as Schedule from "#effect/Schedule"
import * as Stream from "#effect/Stream"
import { assert, describe, layer } from "#support/vitest"
import * as example from "../../examples/servers/devtools.js"
import { type Browser as BrowserShape, chromium } from "./support/chromium.js"
import { runExample, statsWhen } from "./support/pool.js"
import * as Process from "./support/process.js"

class Browser extends Context.Service<Browser, BrowserShape>()("test/Browser") {}

const isMissing = Process.find("chromium") === undefined

const page = (html: string) => `data:text/html,${encodeURIComponent(html)}`

const titled = (title: string) => page(`<title>${title}</title>`)

/** Nothing that a picture could be compressed by, over all of the window. */
const noise = page(`<body style="margin: 0"><canvas width="1600" height="1200"></canvas><script>
  const context = document.querySelector("canvas").getContext("2d")
  const image = context.createImageData(1600, 1200)
  for (let i = 0; i < image.data.length; i += 65536) crypto.getRandomValues(image.data.subarray(i, i + 65536))
  for (let i = 3; i < image.data.length; i += 4) image.data[i] = 255
  context.putImageData(image, 0, 0)
</script>`)

/** The pages that the browser has open now. */
const pages = (address: string) =>
  Effect.promise(async () => {
    const targets = (await (await fetch(`${address}/json/list`)).json()) as ReadonlyArray<{ type: string; url: string }>
    return targets.filter(({ type }) => type === "page").length
  })

describe.skipIf(isMissing)(Process.title("Chromium's DevTools", "chromium", "chromium"), { timeout: 60_000 }, () => {
  layer(Layer.effect(Browser, chromium), { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("the example runs as it is", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        const { stderr, stdout } = yield* runExample("devtools.ts", address)
        assert.strictEqual(stderr, "")
        assert.match(stdout, /^Hello: Hello, World!; a picture of [1-9]\d* bytes\n$/)
      })
    )

    it.effect("one tab serves visit after visit, and what pages say in between reaches nobody", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        yield* Effect.gen(function* () {
          const chatter = page(`<title>chatter</title><script>
            console.log("first")
            setInterval(() => console.log("more"), 1)
          </script>`)
          const noisy = yield* example.visit(chatter)
          assert.strictEqual(noisy.title, "chatter")
          assert.strictEqual(noisy.console[0], "first")
          // A browser on a busy machine may tell what it still has to say after the quiet period: then that is dropped, too.
          yield* statsWhen(({ idle, messagesDropped }) => idle === 1 && messagesDropped > 0)

          const calm = yield* example.visit(page(`<title>calm</title><script>console.log("only", "this")</script>`))
          assert.strictEqual(calm.title, "calm")
          assert.deepStrictEqual(calm.console, ["only this"])
          assert.deepStrictEqual(Array.from(calm.screenshot.subarray(1, 4)), Array.from(Buffer.from("PNG")))
          const { closed, opened } = yield* statsWhen(({ idle }) => idle === 1)
          assert.deepStrictEqual({ closed, opened }, { closed: 0, opened: 1 })
        }).pipe(Effect.provide(example.layer(address)))
      })
    )

    it.effect("events that come while a tab is idle are dropped, too", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        yield* Effect.gen(function* () {
          yield* example.visit(page(`<script>setInterval(() => console.log("more"), 100)</script>`))
          const { messagesDropped } = yield* statsWhen(({ idle }) => idle === 1)
          yield* statsWhen((stats) => stats.idle === 1 && stats.messagesDropped >= messagesDropped + 3)
          assert.strictEqual((yield* example.visit(titled("next"))).title, "next")
          assert.strictEqual((yield* WebSocketPool.stats).opened, 1)
        }).pipe(
          Effect.provide(
            NodeWebSocketPool.layer({
              ...example.options(address),
              onRelease: undefined, // The page goes on.
              drain: { ...example.options(address).drain, quietPeriod: 0 }
            })
          )
        )
      })
    )

    /** Why the connection is closed on which a lease has done this, if nothing tidies up after it. */
    const closedAfter = <A, E>(
      lease: Effect.Effect<A, E, WebSocketPool.WebSocketPool>,
      choose: (options: ReturnType<typeof example.options>) => Pick<WebSocketPool.Options, "drain">
    ) =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        const options = example.options(address)
        return yield* Effect.gen(function* () {
          const closing = yield* WebSocketPool.events.pipe(
            Stream.filter(PoolEvent.is("ConnectionClosed")),
            Stream.runHead,
            Effect.map(Option.getOrThrow),
            Effect.forkChild
          )
          yield* Effect.yieldNow
          yield* lease
          return (yield* Fiber.join(closing)).reason
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...options, onRelease: undefined, ...choose(options) })))
      })

    it.effect("without drain, an event between two leases closes the tab", () =>
      Effect.gen(function* () {
        const ticking = example.visit(page(`<script>setInterval(() => console.log("more"), 20)</script>`))
        assert.strictEqual(yield* closedAfter(ticking, () => ({ drain: undefined })), "Dirty")
      })
    )

    it.effect("with drain, an answer that nobody waits for still closes the tab", () =>
      Effect.gen(function* () {
        const asking = WebSocketPool.use((connection) =>
          connection.send(JSON.stringify({ id: 1e9, method: "Target.getTargets" }))
        )
        assert.strictEqual(yield* closedAfter(asking, ({ drain }) => ({ drain })), "Dirty")
      })
    )

    it.effect("a picture larger than receiveBuffer arrives whole", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        const { screenshot } = yield* Effect.provide(example.visit(noise), example.layer(address))
        assert.isAbove(screenshot.length, 1024 * 1024)
      })
    )

    it.effect("a picture larger than maxPayload costs its tab, and the next visit gets another", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        yield* Effect.gen(function* () {
          const error = yield* Effect.flip(example.visit(noise))
          if (error._tag !== "ConnectionClosedError") return assert.fail(error._tag)
          assert.strictEqual(error.code, 1009)
          assert.strictEqual((yield* example.visit(titled("next"))).title, "next")
          assert.strictEqual((yield* WebSocketPool.stats).opened, 2)
        }).pipe(Effect.provide(NodeWebSocketPool.layer({ ...example.options(address), maxPayload: 256 * 1024 })))
      })
    )

    it.effect("many visits share a few tabs, and each gets its own page", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        yield* Effect.gen(function* () {
          const titles = Array.from({ length: 8 }, (_, index) => `page ${index}`)
          const visits = yield* Effect.forEach(titles, (title) => example.visit(titled(title)), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(
            visits.map(({ title }) => title),
            titles
          )
          assert.isAtMost((yield* WebSocketPool.stats).opened, 4)
        }).pipe(Effect.provide(example.layer(address)))
      })
    )

    it.effect("a page that cannot be opened is an error of its own", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        const error = yield* Effect.flip(Effect.provide(example.visit("nonsense:"), example.layer(address)))
        assert.instanceOf(error, example.DevToolsError)
      })
    )

    it.effect("closing the pool closes its tabs", () =>
      Effect.gen(function* () {
        const { address } = yield* Browser
        const before = yield* Effect.repeat(pages(address), { until: (count) => count <= 1 })
        const during = yield* example
          .visit(titled("open"))
          .pipe(Effect.andThen(pages(address)), Effect.provide(example.layer(address)))
        assert.strictEqual(during, before + 1)
        yield* Effect.repeat(Effect.delay(pages(address), "10 millis"), { until: (count) => count === before })
      })
    )

    it.effect("a browser that is killed and started again is found at its new URL", () =>
      Effect.gen(function* () {
        const browser = yield* Browser
        yield* Effect.gen(function* () {
          yield* example.visit(titled("before"))
          yield* browser.kill
          yield* statsWhen(({ closed }) => closed === 1)
          const visiting = yield* Effect.forkChild(example.visit(titled("after")))
          yield* statsWhen(({ connectFailures }) => connectFailures >= 2)
          yield* browser.restart
          assert.strictEqual((yield* Fiber.join(visiting)).title, "after")
        }).pipe(
          Effect.provide(
            NodeWebSocketPool.layer({
              ...example.options(browser.address),
              retry: Schedule.spaced("50 millis")
            })
          )
        )
      })
    )
  })
})
