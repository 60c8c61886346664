import { connect, type Socket } from 'node:net'

export type Load = {
  /** Answers per second. */
  throughput: number
  p50: number
  p99: number
  requests: number
}

/** One request as bytes: the client costs as little as it can, for it shares the machine with what it measures. */
export type Request = { path: string; body: string; headers?: Record<string, string> }

/** Connections that each ask again as soon as they are answered, for so long, and longer where those were too few. */
export async function closedLoop(
  url: string,
  request: Request,
  { clients, ms, atLeast }: { clients: number; ms: number; atLeast?: { requests: number; withinMs: number } },
): Promise<Load> {
  const connections = await openAll(url, clients)
  const bytes = bytesOf(url, request)
  const times: number[] = []
  const began = performance.now()
  const isOn = () => {
    const passed = performance.now() - began
    return passed < ms || (atLeast !== undefined && times.length < atLeast.requests && passed < atLeast.withinMs)
  }
  await Promise.all(
    connections.map(async (connection) => {
      while (isOn()) {
        const asked = performance.now()
        await connection.ask(bytes)
        times.push(performance.now() - asked)
      }
    }),
  )
  const seconds = (performance.now() - began) / 1000
  for (const connection of connections) connection.end()
  return told(times, seconds)
}

/** Requests at a fixed rate, whether the last one was answered or not; the time counts from when each was due. */
export async function openLoop(
  url: string,
  request: Request,
  { rate, ms }: { rate: number; ms: number },
): Promise<Load> {
  const free = await openAll(url, 32)
  const bytes = bytesOf(url, request)
  const times: number[] = []
  const running: Promise<void>[] = []
  const waiting: number[] = []
  const ask = async (connection: Connection, due: number): Promise<void> => {
    await connection.ask(bytes)
    times.push(performance.now() - due)
    const next = waiting.shift()
    if (next === undefined) free.push(connection)
    else await ask(connection, next)
  }
  const began = performance.now()
  for (let count = 0; (count * 1000) / rate < ms; ) {
    const due = began + (count * 1000) / rate
    if (due > performance.now()) {
      // Asleep: one that looked without a pause would take a core from the server, and more from one that is two processes.
      await new Promise((resolve) => setTimeout(resolve, 1))
      continue
    }
    count++
    const connection = free.pop()
    if (connection) running.push(ask(connection, due))
    else waiting.push(due)
  }
  await Promise.all(running)
  const seconds = (performance.now() - began) / 1000
  for (const connection of free) connection.end()
  return told(times, seconds)
}

/** The body of one answer. @throws Error where it is not 200 */
export async function askOnce(url: string, request: Request): Promise<string> {
  const [connection] = await openAll(url, 1)
  const body = await connection!.ask(bytesOf(url, request))
  connection!.end()
  return body
}

function told(times: number[], seconds: number): Load {
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? Number.NaN
  return { throughput: times.length / seconds, p50: at(0.5), p99: at(0.99), requests: times.length }
}

const bytesOf = (url: string, { path, body, headers = {} }: Request): Buffer => {
  const all = {
    host: new URL(url).host,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

const openAll = (url: string, count: number): Promise<Connection[]> =>
  Promise.all(Array.from({ length: count }, () => Connection.open(url)))

/** One connection of HTTP/1.1 that is kept; answers must say their length. */
class Connection {
  readonly #socket: Socket
  #held: Buffer = Buffer.alloc(0)
  #answered: ((body: string) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#take(chunk))
    socket.on('error', (error) => this.#failed?.(error))
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
  }

  static open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url)
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => resolve(new Connection(socket)))
      socket.once('error', reject)
    })
  }

  ask(bytes: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve
      this.#failed = reject
      this.#socket.write(bytes)
    })
  }

  end(): void {
    this.#failed = undefined
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    const headEnd = this.#held.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = this.#held.toString('latin1', 0, headEnd)
    const length = Number(/content-length: *(\d+)/i.exec(head)?.[1])
    const end = headEnd + 4 + length
    if (Number.isNaN(length)) this.#failed?.(new Error(`an answer without a length: ${head.slice(0, 300)}`))
    if (!(this.#held.length >= end)) return
    const body = this.#held.toString('utf8', headEnd + 4, end)
    this.#held = this.#held.subarray(end)
    if (head.startsWith('HTTP/1.1 200')) this.#answered?.(body)
    else this.#failed?.(new Error(`${head.split('\r\n')[0]}: ${body.slice(0, 300)}`))
  }
}
