import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Received = { path: string; headers: IncomingHttpHeaders; body: string }
export type WebhookReceiver = {
  url: string
  received: Received[]
  /** What the next requests are answered with; 200 to begin with. */
  answer: (reply: (response: ServerResponse) => void) => void
  close: () => Promise<void>
}

/** A real HTTP server that keeps what it gets. */
export async function startReceiver(): Promise<WebhookReceiver> {
  const received: Received[] = []
  let reply = (response: ServerResponse): void => void response.end('fine')
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
      reply(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (next) => {
      reply = next
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
