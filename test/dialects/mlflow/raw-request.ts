import { type Agent, type OutgoingHttpHeaders, request } from 'node:http'

export type RawAnswer = { status: number; headers: NodeJS.Dict<string | string[]>; body: string }

/** Sends a path and a body as they are, which `fetch` would mend. Fails where no answer has come in time. */
export function rawRequest(
  url: string,
  asked: { method: string; path: string; headers?: OutgoingHttpHeaders; body?: string | Buffer; agent?: Agent },
  limitMs = 15_000,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const { method, path, body, agent } = asked
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const headers = { ...length, ...asked.headers }
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers, agent, timeout: limitMs }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts).toString() }),
      )
    })
    sent.on('timeout', () => sent.destroy(new Error(`No answer to ${method} ${path.slice(0, 200)} in ${limitMs} ms.`)))
    sent.on('error', reject)
    sent.end(body)
  })
}
