import type { ClientRequestArgs } from "node:http"
import { isIP, connect as netConnect, type Socket, type TcpNetConnectOpts } from "node:net"
import type { Duplex } from "node:stream"
import type { ConnectionOptions, TLSSocket } from "node:tls"
import * as Effect from "#effect/Effect"
import * as nodeDial from "./dial.js"
import type { Options } from "./options.js"
import * as nodeProxy from "./proxy.js"
import type { AttemptSockets } from "./sockets.js"
import * as nodeTunnel from "./tunnel.js"

/** A failure on the way to the proxy, or in making the tunnel. */
export class ProxyFailed {
  constructor(
    readonly proxy: nodeProxy.Proxy,
    readonly error: unknown
  ) {}
}

export const isSecure = (url: string): boolean => /^(wss|https):/i.test(url)

/**
 * Whether the URL names an address rather than a host. Then `ws` can open the socket by itself. Of a host with several
 * addresses, Node gives each a quarter of a second, and gives it up for the next.
 */
export const isDirect = (url: string): boolean => {
  const { hostname } = new URL(url)
  return isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0
}

/** How `http` asks for a socket, with the options that `ws` has completed, and is given one. */
interface Asked {
  readonly options: TcpNetConnectOpts & ConnectionOptions & { readonly host: string }
  readonly answer: (error: Error | null, socket: Duplex) => void
}

export type ConnectSecurely = (options: ConnectionOptions) => TLSSocket

/** For `ws` at an address: as it does that itself, which has no name to tell the server. */
export const secureConnection =
  (connectSecurely: ConnectSecurely) =>
  (options: ClientRequestArgs): Socket => {
    const { servername = "", ...others } = options as Asked["options"]
    return connectSecurely({ ...others, path: undefined, servername })
  }

/** The way of one attempt to its server: it opens the socket that `ws` has asked for. */
export class Route {
  private asked: Asked | undefined

  constructor(
    private readonly options: Options,
    private readonly url: URL,
    private readonly proxy: nodeProxy.Proxy | undefined,
    private readonly sockets: AttemptSockets,
    private readonly connectSecurely: ConnectSecurely
  ) {}

  readonly createConnection = (options: ClientRequestArgs, answer: Asked["answer"]): undefined => {
    this.asked = { options: options as Asked["options"], answer }
  }

  readonly dial: Effect.Effect<void, unknown> = Effect.suspend(() =>
    this.proxy === undefined ? this.straight() : this.through(this.proxy)
  )

  private to(host: string, port: number): nodeDial.Destination {
    const { family, localAddress, lookup } = this.options
    return { host, port, family, localAddress, lookup }
  }

  private straight(): Effect.Effect<void, unknown> {
    const { host, port } = this.asked!.options
    const to = this.to(host, Number(port))
    return Effect.flatMap(nodeDial.resolve(to), (addresses) => {
      const [only, ...others] = addresses
      return only !== undefined && others.length === 0
        ? Effect.try({ try: () => this.give(this.open({ lookup: nodeDial.knownAs(only) })), catch: (error) => error })
        : Effect.flatMap(nodeDial.race(addresses, to, this.sockets), (line) => this.goOn(line))
    })
  }

  private through(proxy: nodeProxy.Proxy): Effect.Effect<void, unknown> {
    const to = this.to(proxy.hostname, proxy.port)
    return nodeDial.resolve(to).pipe(
      Effect.flatMap((addresses) => nodeDial.race(addresses, to, this.sockets)),
      Effect.flatMap((line) => {
        const toProxy = proxy.isSecure ? nodeTunnel.secure(line, proxy, this.options.ca, this.sockets) : line
        return nodeTunnel.open(toProxy, proxy, nodeProxy.authority(this.url))
      }),
      Effect.mapError((error) => new ProxyFailed(proxy, error)),
      Effect.flatMap((line) => this.goOn(line))
    )
  }

  /** Goes on to the server over a line that leads there. */
  private goOn(line: Socket): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      // Whoever takes it over would never hear of its end.
      if (line.destroyed) return Effect.fail(new Error("the connection was lost as soon as it was made"))
      this.give(this.isSecure ? this.open({ socket: line }) : line)
      return Effect.void
    })
  }

  private get isSecure(): boolean {
    return isSecure(this.url.href)
  }

  /** As `ws` itself does it. */
  private open(line: object): Socket {
    const { options } = this.asked!
    const servername = this.options.servername ?? (isIP(options.host) === 0 ? options.host : "")
    const all = { ...options, path: undefined, servername, ...line }
    return this.sockets.add(this.isSecure ? this.connectSecurely(all) : netConnect(all))
  }

  private give(socket: Socket): void {
    this.asked!.answer(null, socket)
  }
}
