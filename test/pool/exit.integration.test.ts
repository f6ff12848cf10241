import { spawn } from "node:child_process"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { WebSocketServer } from "ws"
import { assert, describe, it } from "#support/vitest"

describe("a program that ends right after send", () => {
  // Messages of one turn are written at its end, which such a program does not live to see.
  it("has sent its message", async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
    try {
      await once(server, "listening")
      const heard: Array<string> = []
      const closed = new Promise<void>((resolve) => {
        server.on("connection", (socket) => {
          socket.on("error", () => {})
          socket.on("message", (data: Buffer) => heard.push(data.toString()))
          socket.on("close", () => resolve())
        })
      })
      const { port } = server.address() as AddressInfo
      const script = fileURLToPath(new URL("../fixtures/exit.ts", import.meta.url))
      const child = spawn(process.execPath, ["--import", "tsx", script, `ws://127.0.0.1:${port}`], { stdio: "ignore" })
      const [code] = await once(child, "exit")
      assert.strictEqual(code, 0)
      await closed
      assert.deepStrictEqual(heard, ["bye"])
    } finally {
      server.close()
    }
  })
})
