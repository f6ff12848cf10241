import type { ClientRequestArgs } from "node:http"
import { isIP, type LookupFunction, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Effect from "#effect/Effect"
import * as nodeDial from "./dial.js"
import { type ConnectSecurely, type LineOptions, open } from "./line.js"
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
  readonly options: LineOptions & { readonly host: string }
  readonly answer: (error: Error | null, socket: Duplex) => void
}

/** The way of one attempt to its server: it opens the socket that `ws` has asked for. */
export class Route {
  private asked: Asked | undefined

  constructor(
    private readonly options: Options,
    private readonly url: URL,
    private readonly proxy: nodeProxy.Proxy | undefined,
    private readonly sockets: AttemptSockets,
    private readonly connectSecurely: ConnectSecurely,
    /** Whether frames are to be taken out of the socket before they reach `ws`. */
    private readonly isLine: boolean
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
        : Effect.flatMap(
            // What wins is what the server is spoken to by, TLS and all: over a socket that is there already, TLS goes by streams.
            nodeDial.race(addresses, (address) => this.open({ lookup: nodeDial.knownAs(address) }), this.sockets),
            (line) => this.goOn(line, false)
          )
    })
  }

  private through(proxy: nodeProxy.Proxy): Effect.Effect<void, unknown> {
    const to = this.to(proxy.hostname, proxy.port)
    return nodeDial.resolve(to).pipe(
      Effect.flatMap((addresses) => nodeDial.race(addresses, nodeDial.connectTo(to), this.sockets)),
      Effect.flatMap((line) => {
        const toProxy = proxy.isSecure ? nodeTunnel.secure(line, proxy, this.options.ca, this.sockets) : line
        return nodeTunnel.open(toProxy, proxy, nodeProxy.authority(this.url))
      }),
      Effect.mapError((error) => new ProxyFailed(proxy, error)),
      Effect.flatMap((line) => this.goOn(line, this.isSecure))
    )
  }

  /** Goes on to the server over a line that leads there. */
  private goOn(line: Socket, makesSecure: boolean): Effect.Effect<void, Error> {
    return Effect.suspend(() => {
      // Whoever takes it over would never hear of its end.
      if (line.destroyed) {
        return Effect.fail(line.errored ?? new Error("the connection was lost as soon as it was made"))
      }
      this.give(makesSecure ? this.open({ socket: line }) : line)
      return Effect.void
    })
  }

  private get isSecure(): boolean {
    return isSecure(this.url.href)
  }

  private open(line: { readonly lookup: LookupFunction } | { readonly socket: Socket }): Socket {
    const isLine = this.isLine && !("socket" in line)
    const connectSecurely = this.isSecure ? this.connectSecurely : undefined
    return this.sockets.add(open({ ...this.asked!.options, ...line }, connectSecurely, isLine))
  }

  private give(socket: Socket): void {
    this.asked!.answer(null, socket)
  }
}
