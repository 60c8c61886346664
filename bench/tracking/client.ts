import { Agent, request } from 'node:http'

/** A raw client that keeps its connections: what is measured is the server. */
export class RawClient {
  readonly #agent: Agent
  readonly #url: URL

  constructor(url: string, connections: number) {
    this.#url = new URL(url)
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  post(path: string, body: unknown): Promise<unknown> {
    const text = JSON.stringify(body)
    return this.#send('POST', path, { 'content-type': 'application/json' }, text)
  }

  get(path: string, query: Record<string, string | number>): Promise<unknown> {
    const words = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) words.set(name, String(value))
    return this.#send('GET', `${path}?${words}`, {})
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, headers: Record<string, string>, body?: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent: this.#agent,
          host: this.#url.hostname,
          port: this.#url.port,
          method,
          path,
          headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8')
            if (response.statusCode === 200) resolve(JSON.parse(text))
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 300)}`))
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }
}
