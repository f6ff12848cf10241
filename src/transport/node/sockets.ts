import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { callback } from "#dialect"
import * as Effect from "#effect/Effect"
import { outside } from "./agent.js"

/** The real one, whatever a test puts in its place later. */
const { nextTick } = process

/** Only a socket of Node's is sure to end once it is destroyed. A stream of an agent's own may have to ask its far end. */
const isSureToEnd = (stream: Duplex): stream is Socket => stream instanceof Socket

/**
 * - `"Opening"`
 * - `"Open"`: the attempt has succeeded, and its socket has an owner
 * - `"Over"`: the attempt has failed or was interrupted
 */
type State = "Opening" | "Open" | "Over"

/** The sockets that exist for one attempt to connect. An attempt that comes to nothing leaves none of them. */
export class AttemptSockets {
  private state: State = "Opening"
  private readonly held = new Set<Duplex>()
  private readonly isFreed = new WeakSet<Duplex>()
  private onEnded: () => void = () => {}

  /** A socket that comes too late is destroyed as soon as whoever opens it has done so: it would connect all the same. */
  add<S extends Duplex>(socket: S): S {
    if (this.state === "Open" || this.held.has(socket)) return socket
    this.held.add(socket)
    if (this.state === "Over") nextTick(() => this.destroy(socket))
    return socket
  }

  /** A socket of an agent's, which goes back to the agent if that says so. */
  addFromAgent(socket: Duplex): void {
    if (this.state === "Opening") socket.once("free", () => this.isFreed.add(socket))
    this.add(socket)
  }

  get isOver(): boolean {
    return this.state === "Over"
  }

  /** From now on the sockets are somebody else's. */
  release(): void {
    this.state = "Open"
    this.held.clear()
  }

  /** Destroys all others, and waits until they are gone. */
  keepOnly(socket: Socket): Effect.Effect<void> {
    return this.destroyAll((each) => each !== socket)
  }

  /** Destroys them all, and waits until they are gone, those included that are opened meanwhile. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.state = "Over"
    return this.destroyAll(() => true)
  })

  private destroyAll(which: (socket: Duplex) => boolean): Effect.Effect<void> {
    return callback((resume) => {
      for (const socket of [...this.held]) {
        // An agent has it for the next request, or has given it to one.
        if (this.isFreed.has(socket) && !socket.destroyed) this.held.delete(socket)
        else if (which(socket)) this.destroy(socket)
      }
      const isDone = () => [...this.held].every((socket) => !which(socket))
      this.onEnded = () => {
        if (isDone()) outside(() => resume(Effect.void))
      }
      this.onEnded()
    })
  }

  private destroy(socket: Duplex): void {
    const gone = () => {
      this.held.delete(socket)
      this.onEnded()
    }
    if (socket.closed || !isSureToEnd(socket)) this.held.delete(socket)
    else socket.once("close", gone)
    socket.on("error", ignore)
    socket.destroy()
  }
}

const ignore = (): void => {}
