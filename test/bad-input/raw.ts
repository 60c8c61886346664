import { connect } from 'node:net'

export type RawAnswer = { status: number; head: string; body: string }

/** One HTTP request byte for byte as given: a client library would mend the path, the headers or the JSON first. */
export function sendRaw(
  url: string,
  {
    method = 'GET',
    path,
    headers = {},
    body = '',
  }: { method?: string; path: string; headers?: Record<string, string>; body?: string | Buffer },
): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(url)
  const bytes = Buffer.from(body)
  const all = { host, connection: 'close', 'content-length': String(bytes.length), ...headers }
  const head = `${method} ${path} HTTP/1.1\r\n${Object.entries(all)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    // Who refuses a huge body closes before it has read it.
    socket.on('error', (error) => (chunks.length > 0 ? undefined : reject(error)))
    socket.on('close', () => {
      const [first, ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n')
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(first!)?.[1]), head: first!, body: rest.join('\r\n\r\n') })
    })
    socket.write(head)
    // Not ended here: a client that hangs up is answered by nobody.
    socket.write(bytes)
  })
}

export const json = (value: unknown, more: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...more },
  body: typeof value === 'string' ? value : JSON.stringify(value),
})
