import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * One holder per path among all processes of this machine: an abstract Unix socket (unix(7)), which the kernel takes back when
 * its process dies, so no stale lock can stay. Resolves to the function that lets go.
 */
export async function holdLock(path: string, onWait: () => void, signal?: AbortSignal): Promise<() => Promise<void>> {
  const name = `\0modelwright-${createHash('sha256').update(path).digest('hex')}`
  for (let tries = 0; ; tries++) {
    signal?.throwIfAborted()
    const release = await tryListen(name)
    if (release) return release
    if (tries === 0) onWait()
    await sleep(100)
  }
}

function tryListen(name: string): Promise<(() => Promise<void>) | undefined> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? done(undefined) : fail(error),
    )
    server.listen(name, () => done(() => new Promise((closed) => server.close(() => closed()))))
  })
}
