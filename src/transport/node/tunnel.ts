import { type IncomingMessage, request } from "node:http"
import { isIP, type Socket } from "node:net"
import { connect as connectSecurely, rootCertificates, type SecureContextOptions } from "node:tls"
import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import { Refusal } from "./error.js"
import type { Proxy } from "./proxy.js"
import type { AttemptSockets } from "./sockets.js"

/**
 * Whom a secure proxy may be vouched for by. `ca` is meant for the server, in place of Node's own authorities; a proxy
 * may have its certificate from either.
 */
const authorities = (ca: SecureContextOptions["ca"]): SecureContextOptions["ca"] =>
  ca === undefined ? undefined : [...rootCertificates, ...[ca].flat()]

/** The line to the proxy made secure. What fails there shows in the request that is sent over it. */
export const secure = (
  line: Socket,
  { hostname }: Proxy,
  ca: SecureContextOptions["ca"],
  sockets: AttemptSockets
): Socket => {
  const trusted = authorities(ca)
  return sockets.add(
    connectSecurely({
      socket: line,
      host: hostname,
      servername: isIP(hostname) === 0 ? hostname : "",
      ALPNProtocols: ["http/1.1"],
      ...(trusted === undefined ? undefined : { ca: trusted })
    })
  )
}

/** Asks the proxy for a tunnel to the server, over a line that leads to the proxy. */
export const open = (
  line: Socket,
  { authorization, hostname, port }: Proxy,
  target: string
): Effect.Effect<Socket, unknown> =>
  callback((resume) => {
    const asking = request({
      method: "CONNECT",
      host: hostname,
      port,
      path: target,
      setHost: false,
      headers: {
        Host: target,
        Connection: "keep-alive",
        ...(authorization === undefined ? undefined : { "Proxy-Authorization": authorization })
      },
      createConnection: () => line
    })
    asking.on("connect", ({ headers, statusCode = 0 }: IncomingMessage, _: unknown, head: Buffer) => {
      line.on("error", ignore)
      if (statusCode < 200 || statusCode > 299) {
        resume(Effect.fail(new Refusal(statusCode, headers["retry-after"], refusedBy(statusCode))))
        return
      }
      // What came right behind the answer is the server's already.
      if (head.length > 0) line.unshift(head)
      resume(Effect.succeed(line))
    })
    asking.on("error", (error) => resume(Effect.fail(error)))
    // Interrupted, the attempt destroys the line, and the request with it.
    asking.end()
  })

const refusedBy = (status: number): string =>
  status === 407 ? "it wants other credentials" : "it refused to open a tunnel"

const ignore = (): void => {}
