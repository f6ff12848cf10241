import { writeFileSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { Socket } from "node:net"
import { join } from "node:path"
import { type RawData, type WebSocket, WebSocketServer } from "ws"
import * as Effect from "#effect/Effect"
import * as Scope from "#effect/Scope"
import * as Process from "./process.js"

export const program = Process.find("nginx") ?? "nginx"

/** The echo server behind nginx. */
export class Upstream {
  /** The connections there have been, in order. */
  readonly connections: Array<WebSocket> = []
  private server: Server | undefined = undefined
  private readonly sockets = new Set<Socket>()

  constructor(private readonly path: string) {}

  readonly start: Effect.Effect<void> = Effect.callback((resume) => {
    this.server = createServer()
    this.server.on("connection", (socket) => {
      this.sockets.add(socket)
      socket.on("close", () => this.sockets.delete(socket))
    })
    new WebSocketServer({ server: this.server }).on("connection", (connection) => {
      this.connections.push(connection)
      connection.on("error", () => {})
      connection.on("message", (data: RawData) => connection.send(data.toString()))
    })
    this.server.listen(this.path, () => resume(Effect.void))
  })

  readonly stop: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.server === undefined) return resume(Effect.void)
    this.server.close(() => resume(Effect.void))
    this.server = undefined
    for (const socket of this.sockets) socket.destroy()
  })
}

export interface Proxy {
  readonly url: string
  readonly upstream: Upstream
  /** Reads the configuration anew: connections have one second to end. */
  readonly reload: Effect.Effect<void>
  /** Ends it without a chance to say goodbye. */
  readonly kill: Effect.Effect<void>
  /** Starts it again at the same address, after `kill`. */
  readonly restart: Effect.Effect<void, Process.Ended>
}

const configuration = (port: number, readTimeout: number): string => `
daemon off;
${Process.runsAsRoot ? "user root;" : ""}
worker_processes 1;
worker_shutdown_timeout 1s;
error_log stderr notice;
pid nginx.pid;
events { worker_connections 128; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream echo { server unix:echo.sock; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://echo;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_read_timeout ${readTimeout}s;
    }
  }
}
`

/** nginx in front of an echo server, with `proxy_read_timeout` in seconds. */
export const nginx = (readTimeout: number): Effect.Effect<Proxy, Process.Ended, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const folder = yield* Process.folder
    const upstream = new Upstream(join(folder, "echo.sock"))
    yield* Effect.acquireRelease(upstream.start, () => upstream.stop)
    const file = join(folder, "nginx.conf")
    const start = (port: number) =>
      Effect.gen(function* () {
        writeFileSync(file, configuration(port, readTimeout).replace("unix:", `unix:${folder}/`))
        const running = yield* Process.run(program, ["-e", "stderr", "-p", folder, "-c", file])
        yield* running.printed(/start worker process \d+/)
        return { port, running }
      })
    let { port, running } = yield* Process.onFreePort(start)
    return {
      url: `ws://127.0.0.1:${port}`,
      upstream,
      reload: Effect.suspend(() => running.signal("SIGHUP")),
      kill: Effect.suspend(() => running.kill),
      restart: Effect.map(Scope.provide(start(port), scope), (again) => {
        running = again.running
      })
    }
  })
