import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "#effect/Effect"
import * as Scope from "#effect/Scope"
import * as Process from "./process.js"

export const program = Process.find("mosquitto") ?? "mosquitto"

export interface Broker {
  readonly url: string
  /** Ends it without a chance to say goodbye. */
  readonly kill: Effect.Effect<void>
  /** Starts it again at the same address, after `kill`. */
  readonly restart: Effect.Effect<void, Process.Ended>
}

const configuration = (folder: string, port: number, allowAnonymous: boolean): string =>
  [
    ...(Process.runsAsRoot ? ["user root"] : []),
    // Version 2.0.11 does not start with listeners for WebSockets alone.
    `listener 0 ${join(folder, "mosquitto.sock")}`,
    `listener ${port} 127.0.0.1`,
    "socket_domain ipv4",
    "protocol websockets",
    `allow_anonymous ${allowAnonymous}`,
    "persistence false",
    "log_dest stderr",
    ""
  ].join("\n")

/** A broker with a listener for WebSockets. */
export const mosquitto = ({ allowAnonymous = true } = {}): Effect.Effect<Broker, Process.Ended, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const folder = yield* Process.folder
    const file = join(folder, "mosquitto.conf")
    const start = (port: number) =>
      Effect.gen(function* () {
        writeFileSync(file, configuration(folder, port, allowAnonymous))
        const running = yield* Process.run(program, ["-c", file])
        yield* running.printed(/mosquitto version \S+ running/)
        return { port, running }
      })
    let { port, running } = yield* Process.onFreePort(start)
    return {
      url: `ws://127.0.0.1:${port}`,
      kill: Effect.suspend(() => running.kill),
      restart: Effect.map(Scope.provide(start(port), scope), (again) => {
        running = again.running
      })
    }
  })
