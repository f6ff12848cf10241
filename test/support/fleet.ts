/** A fleet of processes against one backend that counts what it sees. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { WebSocketServer } from "ws"
import { RedisServer } from "./redisServer.js"

/** A server that counts its sockets, and how many there were at most. */
export class Backend {
  sockets = 0
  most = 0
  attempts = 0

  private constructor(private readonly server: WebSocketServer) {
    server.on("connection", (socket) => {
      this.attempts += 1
      this.sockets += 1
      this.most = Math.max(this.most, this.sockets)
      socket.on("message", (data) => socket.send(String(data)))
      socket.on("close", () => {
        this.sockets -= 1
      })
      socket.on("error", () => undefined)
    })
  }

  static async start(): Promise<Backend> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
    await once(server, "listening")
    return new Backend(server)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async end(): Promise<void> {
    for (const client of this.server.clients) client.terminate()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

export interface FleetOptions {
  readonly workers: number
  readonly limit: number
  readonly fibers?: number
  readonly ttl?: number
  readonly recovery?: number
  readonly hold?: number
  readonly redis?: ReadonlyArray<string>
  /** The program of a worker, ready to run; unless given, each compiles its own. */
  readonly script?: string
}

export class FleetWorker {
  answers = 0
  /** How often it was without the engine for longer than `ttl`. */
  lapses = 0
  readonly startedAt = performance.now()

  constructor(readonly process: ChildProcess) {
    process.on("message", ({ answers, lapses }: { readonly answers: number; readonly lapses: number }) => {
      this.answers = answers
      this.lapses = lapses
    })
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const exited = once(this.process, "exit")
    this.process.kill("SIGKILL")
    await exited
  }
}

const worker = fileURLToPath(new URL("../fixtures/fleetWorker.ts", import.meta.url))
const tsx = createRequire(import.meta.url).resolve("tsx")

export class Fleet {
  readonly workers: Array<FleetWorker> = []

  private constructor(
    readonly backend: Backend,
    readonly engine: RedisServer,
    private readonly options: FleetOptions
  ) {}

  static async start(options: FleetOptions): Promise<Fleet> {
    const engine = await RedisServer.start(...(options.redis ?? []))
    const fleet = new Fleet(await Backend.start(), engine, options)
    for (let index = 0; index < options.workers; index++) fleet.add()
    return fleet
  }

  add(fibers = this.options.fibers ?? 2): FleetWorker {
    const { hold = 20, limit, recovery = 1500, ttl = 3000 } = this.options
    const settings = { url: this.backend.url, port: this.engine.port, limit, fibers, ttl, recovery, hold }
    const { script = worker } = this.options
    const execArgv = script === worker ? ["--import", tsx] : []
    const child = fork(script, [JSON.stringify(settings)], { execArgv, stdio: "ignore" })
    const added = new FleetWorker(child)
    this.workers.push(added)
    return added
  }

  async end(): Promise<void> {
    await Promise.all(this.workers.map((one) => one.kill()))
    await this.backend.end()
    await this.engine.end()
  }
}
