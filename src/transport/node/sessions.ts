import { type ConnectionOptions, connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls"
import type { Options } from "./options.js"

/** A session that a server may resume. Node checks no certificate then: it was checked when the session began. */
interface Session {
  readonly data: Buffer
  /** When the first certificate of the chain that was checked expires, in milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Servers of which sessions are kept. A pool has one; redirects and computed URLs may lead to more. */
const capacity = 100

/**
 * The TLS sessions of one transport, by server: a connection that resumes one spares both sides most of the handshake.
 *
 * Whoever resumes a session trusts the check that was made when it began. So a session is kept only once that check has
 * passed, and offered only where it would have been the same: at the same host, port and server name, by way of the same
 * proxy, and with the same trust options, which a transport never changes. It is dropped when a certificate of the chain
 * expires. Nothing is kept where the outcome of the check is somebody else's: a `checkServerIdentity` of the user's,
 * an `agent`, or no check at all.
 */
export class Sessions {
  private readonly kept = new Map<string, Session>()

  /** Those of a transport with these options, if sessions may be resumed at all. */
  static of({ agent, checkServerIdentity, rejectUnauthorized }: Options): Sessions | undefined {
    const isChecked = agent === undefined && checkServerIdentity === undefined && rejectUnauthorized !== false
    return isChecked ? new Sessions() : undefined
  }

  /** `tls.connect`, with the session of an earlier connection. `proxy` is where the line leads through. */
  connect(options: ConnectionOptions, proxy: string | undefined, now: () => number): TLSSocket {
    const { host, port, servername } = options
    const server = JSON.stringify([host, port, servername, proxy])
    const offered = this.find(server, now())
    const socket = connect(offered === undefined ? options : { ...options, session: offered.data })
    this.follow(socket, server, offered)
    return socket
  }

  private find(server: string, now: number): Session | undefined {
    const session = this.kept.get(server)
    // A date that cannot be read counts as past.
    if (session === undefined || now < session.expiresAt) return session
    this.kept.delete(server)
    return undefined
  }

  /** TLS 1.2 gives the session before the check, TLS 1.3 some of them later, at any time. */
  private follow(socket: TLSSocket, server: string, offered: Session | undefined): void {
    let early: Buffer | undefined
    let expiresAt: number | undefined
    const refused = (hadError: boolean): void => {
      // One that another address was faster than, or that nobody waits for any more, says nothing.
      if (hadError && offered !== undefined && this.kept.get(server) === offered) this.kept.delete(server)
    }
    socket.on("session", (data: Buffer) => {
      if (expiresAt === undefined) early = data
      else this.keep(server, { data, expiresAt })
    })
    // A server that cannot cope with the session gets none the next time.
    socket.once("close", refused)
    socket.once("secureConnect", () => {
      socket.off("close", refused)
      // `NODE_TLS_REJECT_UNAUTHORIZED` lets it go on without.
      if (!socket.authorized) return
      expiresAt =
        offered !== undefined && socket.isSessionReused()
          ? offered.expiresAt
          : expiryOf(socket.getPeerCertificate(true))
      if (early !== undefined) this.keep(server, { data: early, expiresAt })
    })
  }

  private keep(server: string, session: Session): void {
    this.kept.delete(server)
    this.kept.set(server, session)
    if (this.kept.size <= capacity) return
    for (const oldest of this.kept.keys()) {
      this.kept.delete(oldest)
      return
    }
  }
}

/** The end of the chain's validity: that of its first certificate to expire. */
const expiryOf = (certificate: DetailedPeerCertificate): number => {
  let expiresAt = Number.POSITIVE_INFINITY
  const seen = new Set<DetailedPeerCertificate>()
  let next: DetailedPeerCertificate | undefined = certificate
  // An authority has issued its own.
  while (next !== undefined && !seen.has(next)) {
    seen.add(next)
    const until = Date.parse(next.valid_to)
    // One that cannot be read counts as past.
    expiresAt = Number.isNaN(until) ? Number.NEGATIVE_INFINITY : Math.min(expiresAt, until)
    next = next.issuerCertificate
  }
  return expiresAt
}
