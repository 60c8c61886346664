import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { replaceFile } from '../../files/replace-file.ts'
import { httpUrl } from '../../kernel/listening.ts'
import type { InferenceCounts } from '../decide/merge-gateways.ts'
import type { GatewayObserved } from '../gateway-state.ts'
import { checkToken } from '../protocols/door-checks.ts'
import type { GuardTally } from './guard-state.ts'

/** What one of several gateway processes tells the others of itself; endpoints by `PROJECT/ENVIRONMENT`. */
export type GatewayTold = {
  observed: GatewayObserved
  endpoints: Record<string, { stats: InferenceCounts; guard: GuardTally }>
}

/** Which of how many, from 1. */
export type GatewayNumber = { number: number; of: number }

/** `token` comes with each question, `proof` with each answer: a stranger who has got the port of a dead process knows the former alone. */
type Address = { port: number; token: string; proof: string }

const proofHeader = 'x-modelwright-proof'

const patienceMs = 1_000

/**
 * The gateway processes of one data folder share a port; the kernel gives each connection to one of them. Each answers the others at a
 * door of its own on loopback, whose port and token stand in a file that only this user can read, so that whoever is asked for
 * the state of the gateway can tell that of all.
 */
export class Siblings {
  readonly #folder: string
  readonly #self: GatewayNumber
  readonly #tell: () => GatewayTold
  readonly #door: Server
  readonly #token = randomBytes(32).toString('hex')
  readonly #proof = randomBytes(32).toString('hex')

  constructor(folder: string, self: GatewayNumber, tell: () => GatewayTold) {
    this.#folder = join(folder, 'siblings')
    this.#self = self
    this.#tell = tell
    this.#door = createServer((request, response) => {
      // What the shared port cannot be asked: whether this very process is well.
      if (request.url === '/health') return response.end('\n')
      try {
        checkToken(request.headers.authorization, this.#token)
        const headers = { 'content-type': 'application/json', [proofHeader]: this.#proof }
        response.writeHead(200, headers).end(JSON.stringify(this.#tell()))
      } catch {
        response.writeHead(401).end()
      }
    })
  }

  /** @returns where this process is asked by itself; undefined of one that has its port alone */
  async open(): Promise<string | undefined> {
    if (this.#self.of === 1) return undefined
    await new Promise<void>((resolve, reject) => this.#door.once('error', reject).listen(0, '127.0.0.1', resolve))
    // It must not keep a process that has answered everything.
    this.#door.unref()
    const { port } = this.#door.address() as AddressInfo
    const address: Address = { port, token: this.#token, proof: this.#proof }
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    await replaceFile(this.#fileOf(this.#self.number), JSON.stringify(address))
    return httpUrl('127.0.0.1', port)
  }

  /** Of those that answer within a second, with their numbers; without our own. */
  async askAll(): Promise<{ number: number; told: GatewayTold }[]> {
    const numbers = Array.from({ length: this.#self.of }, (_, at) => at + 1).filter((one) => one !== this.#self.number)
    const asked = numbers.map(async (number) => {
      const told = await this.#ask(number).catch(() => undefined)
      return told ? [{ number, told }] : []
    })
    return (await Promise.all(asked)).flat()
  }

  close(): void {
    this.#door.close()
    this.#door.closeAllConnections()
  }

  async #ask(number: number): Promise<GatewayTold | undefined> {
    const { port, token, proof } = JSON.parse(readFileSync(this.#fileOf(number), 'utf8')) as Address
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(patienceMs),
      redirect: 'error',
    })
    if (answer.headers.get(proofHeader) === proof) return (await answer.json()) as GatewayTold
    await answer.body?.cancel()
    return undefined
  }

  #fileOf(number: number): string {
    return join(this.#folder, `${number}.json`)
  }
}
