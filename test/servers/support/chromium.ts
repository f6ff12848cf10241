import * as Effect from "#effect/Effect"
import * as Scope from "#effect/Scope"
import * as Process from "./process.js"

export const program = Process.find("chromium") ?? "chromium"

export interface Browser {
  /** Where its DevTools listen, as an `http:` URL. */
  readonly address: string
  /** Ends it without a chance to say goodbye. */
  readonly kill: Effect.Effect<void>
  /** Starts it again at the same address, after `kill`. */
  readonly restart: Effect.Effect<void, Process.Ended>
}

const flags = [
  "--headless",
  "--no-sandbox",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--disable-breakpad",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

export const chromium: Effect.Effect<Browser, Process.Ended, Scope.Scope> = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const start = (port: number) =>
    Effect.gen(function* () {
      const profile = yield* Process.folder
      const running = yield* Process.run(program, [
        ...flags,
        `--remote-debugging-port=${port}`,
        `--user-data-dir=${profile}`
      ])
      const [, host] = yield* running.printed(/DevTools listening on ws:\/\/([^/]+)\//)
      return { host: host ?? "", running }
    })
  let { host, running } = yield* start(0)
  return {
    address: `http://${host}`,
    kill: Effect.suspend(() => running.kill),
    restart: Effect.map(Scope.provide(start(Number(host.split(":")[1])), scope), (again) => {
      running = again.running
    })
  }
})
