import { JSONRPCClient, JSONRPCServer, JSONRPCServerAndClient } from "json-rpc-2.0"
import type { WebSocket } from "ws"
import { listening } from "./listening.js"

/** A server of the package `json-rpc-2.0`: a method, and a feed of numbers which goes on until somebody unsubscribes. */
export const makeFeeds = () => {
  const live = new Set<string>()
  let subscriptions = 0
  const serve = (socket: WebSocket): void => {
    const timers = new Map<string, NodeJS.Timeout>()
    const end = (id: string): boolean => {
      clearInterval(timers.get(id))
      live.delete(id)
      return timers.delete(id)
    }
    const peer = new JSONRPCServerAndClient(
      new JSONRPCServer(),
      new JSONRPCClient((message) => {
        socket.send(JSON.stringify(message))
      })
    )
    peer.addMethod("sum", (numbers: ReadonlyArray<number>) => numbers.reduce((all, one) => all + one, 0))
    peer.addMethod("broken", () => {
      throw new Error("out of order")
    })
    peer.addMethod("subscribe", ([from]: [number]) => {
      subscriptions += 1
      const id = `feed-${subscriptions}`
      live.add(id)
      let next = from
      timers.set(
        id,
        setInterval(() => peer.notify("feed", { subscription: id, result: next++ }, undefined), 1)
      )
      return id
    })
    peer.addMethod("unsubscribe", ([id]: [string]) => end(id))
    socket.on("message", (data) => void peer.receiveAndSend(JSON.parse(String(data)), undefined, undefined))
    socket.on("close", () => {
      for (const id of timers.keys()) end(id)
    })
  }
  return { live, subscriptions: () => subscriptions, listening: listening(serve) }
}
