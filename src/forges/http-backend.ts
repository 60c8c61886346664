import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { IncomingMessage } from 'node:http'
import { basename, dirname } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { bug } from '../kernel/errors.ts'

export type GitService = 'git-upload-pack' | 'git-receive-pack'

export type GitRequest = {
  /** The bare repository's folder. */
  repository: string
  /** What of it is asked for: `/info/refs`, `/git-upload-pack`, `/git-receive-pack`. */
  resource: string
  query: string
  actor: string
  /** Beside git's own settings: what the hooks need. */
  env: Record<string, string>
  settings: Record<string, string>
  /** The PATH on which git finds its helpers. */
  searchPath: string
}

export type CgiAnswer = { status: number; headers: Record<string, string>; body: Readable }

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** One `git http-backend`, fed with the request, as CGI (RFC 3875) wants it. Both bodies stream. */
export class HttpBackend {
  readonly #child: Child
  readonly #ended: Promise<void>
  #complaints = ''

  constructor(git: GitRequest, request: IncomingMessage) {
    this.#child = spawn('git', ['http-backend'], {
      env: cgiEnvironment(git, request),
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that its helpers and hooks can be ended with it.
      detached: true,
    })
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => resolve())
      this.#child.once('error', () => resolve())
    })
    this.#child.stderr.on('data', (data: Buffer) => {
      if (this.#complaints.length < 10_000) this.#complaints += data.toString()
    })
    feed(request, this.#child)
  }

  get ended(): Promise<void> {
    return this.#ended
  }

  get complaints(): string {
    return this.#complaints.trim()
  }

  end(): void {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return
    try {
      process.kill(-this.#child.pid, 'SIGTERM')
    } catch {
      // It ended by itself in this moment.
    }
  }

  /** Resolves when the headers are there; the body follows from the stream. */
  async answer(): Promise<CgiAnswer> {
    let head = Buffer.alloc(0)
    const body = this.#child.stdout
    return new Promise((resolve, reject) => {
      const fail = (cause?: unknown) =>
        reject(bug(`git http-backend gave no answer: ${this.complaints || String(cause ?? 'it ended')}`, cause))
      const read = (data: Buffer) => {
        head = Buffer.concat([head, data])
        const end = head.indexOf('\r\n\r\n')
        if (end === -1) return
        body.pause()
        body.off('data', read)
        const rest = head.subarray(end + 4)
        if (rest.length > 0) body.unshift(rest)
        resolve({ ...parseHead(head.subarray(0, end).toString('latin1')), body })
      }
      body.on('data', read)
      body.once('error', fail)
      this.#child.once('error', fail)
      this.#child.once('close', () => fail())
    })
  }
}

/** Not `pipeline`: git may answer before it has read everything, and the connection must live on to carry the answer. */
function feed(request: IncomingMessage, child: Child): void {
  request.pipe(child.stdin)
  child.stdin.on('error', () => {
    request.unpipe(child.stdin)
    request.resume()
  })
  request.once('close', () => {
    // Broken off in the middle: git sees the end of its input and gives the push up.
    if (!request.complete) child.stdin.destroy()
  })
}

function cgiEnvironment(git: GitRequest, request: IncomingMessage): Record<string, string> {
  const { headers, method } = request
  const settings = Object.entries({ ...git.settings, 'safe.directory': git.repository })
  return {
    PATH: git.searchPath,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_CONFIG_COUNT: String(settings.length),
    ...Object.fromEntries(
      settings.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_METHOD: method ?? 'GET',
    GIT_PROJECT_ROOT: dirname(git.repository),
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${basename(git.repository)}${git.resource}`,
    QUERY_STRING: git.query,
    REMOTE_USER: git.actor,
    REMOTE_ADDR: request.socket.remoteAddress ?? '',
    ...present('CONTENT_TYPE', headers['content-type']),
    ...present('CONTENT_LENGTH', headers['content-length']),
    ...present('HTTP_CONTENT_ENCODING', headers['content-encoding']),
    ...present('GIT_PROTOCOL', protocol(headers['git-protocol'])),
    ...git.env,
  }
}

const present = (name: string, value: string | undefined) => (value === undefined ? {} : { [name]: value })

const protocol = (header: string | string[] | undefined): string | undefined =>
  typeof header === 'string' && /^[\w=:.-]{1,200}$/.test(header) ? header : undefined

function parseHead(head: string): { status: number; headers: Record<string, string> } {
  const headers: Record<string, string> = {}
  let status = 200
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    if (name === 'status') status = Number.parseInt(value, 10)
    else if (colon > 0) headers[name] = value
  }
  return { status, headers }
}
