import { AsyncLocalStorage } from "node:async_hooks"
import { subscribe } from "node:diagnostics_channel"
import type { Agent } from "node:http"
import { Socket } from "node:net"
import * as Predicate from "#effect/Predicate"

/** Where the sockets of an attempt are kept. */
interface Keeper {
  readonly isOver: boolean
  addFromAgent(socket: Socket): void
}

interface Attempt {
  readonly agent: Agent
  readonly sockets: Keeper
}

const current = new AsyncLocalStorage<Attempt | undefined>()

let isSubscribed = false

/**
 * An agent that goes through a proxy opens its socket long before it hands anything over, and tells nobody: only the
 * channel and the async context show which attempt that socket is for.
 */
const onSocket = (message: unknown): void => {
  const attempt = current.getStore()
  if (attempt === undefined || !Predicate.hasProperty(message, "socket")) return
  const { agent, sockets } = attempt
  if (!(message.socket instanceof Socket)) return
  // What ends in this context may make room for another request of the agent's queue: that one's socket is its own.
  if (sockets.isOver && Object.keys(agent.requests ?? {}).length > 0) return
  sockets.addFromAgent(message.socket)
}

/** Runs what makes an agent open sockets, so that they are known as those of this attempt. */
export const within = <A>(attempt: Attempt, f: () => A): A => {
  if (!isSubscribed) {
    isSubscribed = true
    subscribe("net.client.socket", onSocket)
  }
  return current.run(attempt, f)
}

/**
 * Runs what goes on with the program. What it opens is none of the attempt's business, though it was the attempt's
 * event that made it go on.
 */
export const outside = (f: () => void): void => {
  if (current.getStore() === undefined) f()
  else current.run(undefined, f)
}
