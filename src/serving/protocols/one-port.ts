import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import type { GrpcDoor, GrpcSetting } from './oip-grpc.ts'

/** The first bytes of every HTTP/2 connection in clear text. */
const http2Preface = Buffer.from('PRI * HTTP/2.0')
const firstBytesWithinMs = 15_000

/**
 * Lets a server of HTTP/1.1 share its port with gRPC: what begins as HTTP/2 does is given to `takeHttp2`. Clients need to know one
 * address, and a process opens one port.
 * @returns what ends the connections on which nothing was said yet: the server does not know them, but would wait for them to end
 */
export function shareWithHttp2(server: HttpServer, takeHttp2: (socket: Socket) => void): () => void {
  const silent = new Set<Socket>()
  const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', (socket: Socket) => {
    const drop = () => socket.destroy()
    socket.setTimeout(firstBytesWithinMs, drop)
    socket.on('error', drop)
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
    socket.once('data', (first: Buffer) => {
      silent.delete(socket)
      socket.pause()
      socket.setTimeout(0)
      socket.off('timeout', drop)
      socket.off('error', drop)
      socket.unshift(first)
      const size = Math.min(first.length, http2Preface.length)
      const isHttp2 = size > 2 && first.subarray(0, size).equals(http2Preface.subarray(0, size))
      if (isHttp2) return takeHttp2(socket)
      for (const listener of listeners) listener.call(server, socket)
      socket.resume()
    })
  })
  return () => {
    for (const socket of silent) socket.destroy()
  }
}

/** The gRPC door, opened when the first of its clients comes: most processes never meet one, and its library is large. */
export class LateGrpc {
  readonly #setting: GrpcSetting
  #door: Promise<GrpcDoor> | undefined

  constructor(setting: GrpcSetting) {
    this.#setting = setting
  }

  take(socket: Socket): void {
    this.#open().then(
      (door) => door.take(socket),
      () => socket.destroy(),
    )
  }

  /** A port of its own. @throws AppError PortTaken, BadRequest */
  async listen(host: string, port: number): Promise<number> {
    return (await this.#open()).listen(host, port)
  }

  async close(): Promise<void> {
    await (await this.#door)?.close()
  }

  #open(): Promise<GrpcDoor> {
    this.#door ??= import('./oip-grpc.ts').then(({ GrpcDoor }) => new GrpcDoor(this.#setting))
    return this.#door
  }
}
