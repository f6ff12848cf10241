import {
  AbstractMessageReader,
  AbstractMessageWriter,
  type CancellationToken,
  createMessageConnection,
  type DataCallback,
  type Message
} from "vscode-jsonrpc/node"
import type { WebSocket } from "ws"
import { listening } from "./listening.js"

class Reader extends AbstractMessageReader {
  constructor(private readonly socket: WebSocket) {
    super()
  }

  listen(callback: DataCallback) {
    this.socket.on("message", (data) => callback(JSON.parse(String(data))))
    this.socket.on("close", () => this.fireClose())
    return { dispose: () => undefined }
  }
}

class Writer extends AbstractMessageWriter {
  constructor(private readonly socket: WebSocket) {
    super()
  }

  async write(message: Message): Promise<void> {
    this.socket.send(JSON.stringify(message))
  }

  end(): void {}
}

/** A language server on `vscode-jsonrpc`, which language servers are made with. It tells what it was asked to cancel. */
export const makeLanguageServer = () => {
  let references = 0
  let cancelled = 0
  const opened: Array<string> = []
  const serve = (socket: WebSocket): void => {
    const connection = createMessageConnection(new Reader(socket), new Writer(socket))
    connection.onNotification("textDocument/didOpen", ({ textDocument }: { textDocument: { uri: string } }) => {
      opened.push(textDocument.uri)
    })
    connection.onRequest("textDocument/hover", async ({ word }: { word: string }) => {
      // It asks its client how, before it answers.
      const [style] = await connection.sendRequest<ReadonlyArray<string>>("workspace/configuration", {
        items: [{ section: "style" }]
      })
      await connection.sendNotification("window/logMessage", { message: `hover over ${word}` })
      return { contents: `${style}: ${word}` }
    })
    connection.onRequest("textDocument/references", (_: object, token: CancellationToken) => {
      references += 1
      return new Promise((resolve) =>
        token.onCancellationRequested(() => {
          cancelled += 1
          resolve([])
        })
      )
    })
    connection.onRequest("workspace/unknown", () => connection.sendRequest("no/such/method", {}))
    connection.listen()
  }
  return { opened, references: () => references, cancelled: () => cancelled, listening: listening(serve) }
}
