import { createServer } from 'node:net'

/**
 * Ports in a row that are free now, for servers that are told theirs and may be killed and started again on it. Below the range that the
 * system hands out by itself, else a connection of somebody's could take one meanwhile, and above what fetch refuses. Each worker of the
 * tests looks in a part of its own.
 */
export async function freePorts(count: number): Promise<number[]> {
  const part = Number(process.env.VITEST_POOL_ID ?? 0) % parts
  for (let tries = 0; tries < 100; tries++) {
    const first = lowest + part * width + Math.floor(Math.random() * (width - count))
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if (ports.some((port) => given.has(port)) || !(await Promise.all(ports.map(isFree))).every(Boolean)) continue
    for (const port of ports) given.add(port)
    return ports
  }
  throw new Error(`No free port was found between ${lowest} and ${lowest + parts * width}.`)
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  return port!
}

const lowest = 20_000
const width = 3_000
const parts = 4
/** Nobody may listen on one yet. */
const given = new Set<number>()

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
