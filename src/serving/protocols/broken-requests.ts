import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** How long who is told so may still send: a connection that is cut at once takes the answer with it. */
const lastBytesMs = 1_000

const told: Record<string, [status: string, code: string, message: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'BAD_REQUEST', 'The headers are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'DEADLINE_EXCEEDED', 'The request did not come in time.'],
}

/** What is no request by HTTP's rules reaches no protocol: it is answered in a form that the clients of each can read. */
export function tellOfBrokenRequests(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET') return socket.destroy()
    if (!socket.writable) return
    const [status, code, message] = told[error.code ?? ''] ?? [
      '400 Bad Request',
      'BAD_REQUEST',
      `This is no request of HTTP: ${error.message}.`,
    ]
    const body = JSON.stringify({ error_code: code, message, error: message })
    const head = [
      `HTTP/1.1 ${status}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
    ]
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
    setTimeout(() => socket.destroy(), lastBytesMs).unref()
  })
}
