/** A real engine on loopback, for tests that need one. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const program = ["redis-server", "valkey-server"].find((name) => spawnSync(name, ["--version"]).status === 0)

/** Whether there is one; otherwise the tests that need it say that they are skipped, and why. */
export const hasRedis = program !== undefined
export const skipped = "redis-server is not installed (on Debian: apt-get install redis-server)"

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.on("connect", () => socket.write("PING\r\n"))
    socket.on("data", (data) => {
      resolve(/PONG|NOAUTH/.test(String(data)))
      socket.destroy()
    })
    socket.on("error", () => resolve(false))
  })

export class RedisServer {
  /** Where the nodes of a cluster listen to each other. */
  bus = 0
  private child: ChildProcess | undefined
  private readonly folder = mkdtempSync(join(tmpdir(), "ewp-redis-"))

  private constructor(
    readonly port: number,
    private readonly options: ReadonlyArray<string>
  ) {}

  static async start(...options: ReadonlyArray<string>): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options)
    await server.start()
    return server
  }

  /** A node of a cluster. Unless told, it listens ten thousand ports higher, too: there may be no such port. */
  static async startNode(...options: ReadonlyArray<string>): Promise<RedisServer> {
    const bus = await freePort()
    const server = await RedisServer.start("--cluster-enabled", "yes", "--cluster-port", String(bus), ...options)
    server.bus = bus
    return server
  }

  /** A sentinel that watches a server, and has a replica take its place once it is silent for half a second. */
  static async startSentinel(watched: RedisServer): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), ["--sentinel"])
    const named = `sentinel monitor main 127.0.0.1 ${watched.port} 1`
    const times = ["sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 3000"]
    writeFileSync(server.config, [named, ...times, ""].join("\n"))
    await server.start(server.config)
    return server
  }

  private get config(): string {
    return join(this.folder, "sentinel.conf")
  }

  async start(...config: ReadonlyArray<string>): Promise<void> {
    const { folder, options, port } = this
    const bound = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    this.child = spawn(program!, [...config, ...bound, ...options], { stdio: "ignore" })
    for (let tries = 0; !(await answers(port)); tries++) {
      if (tries > 500) throw new Error("the engine does not start")
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal)
  }

  /** Ends it. What it has in memory is lost, unless its options say otherwise. */
  async kill(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  }

  async end(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
