import { Transform } from 'node:stream'
import { type Digest, digestOf } from '../kernel/digest.ts'
import { AppError, isAppError } from '../kernel/errors.ts'
import { formatBytes } from '../kernel/units.ts'
import type { Addresses, AtAddress } from '../ports/addresses.ts'
import type { Clock } from '../ports/clock.ts'
import type { ObjectStore, StoredObject } from '../ports/object-store.ts'
import type { DataSource } from '../projects/index.ts'
import type { PlanContext } from './plan.ts'
import type { PlanStore } from './plan-store.ts'

/** The value of a dataset's secret. @throws AppError SecretMissing; Forbidden where somebody from outside asks. */
export type DataSecret = (asked: DataAsked & { secret: string }) => Promise<string>

type DataAsked = { project: string; dataset: string; trigger: PlanContext['facts']['trigger'] }
type Place = DataAsked & { source: DataSource & { address: string } }
type Parts = {
  addresses: Addresses
  objects: ObjectStore
  store: PlanStore
  clock: Clock
  secretOf: DataSecret
}

/** What a plan waits for, while a person may wait for the plan. */
const glanceMs = 5_000
const glanceBytes = 32_000_000
const pausesMs = [1_000, 5_000]

/** Data that lies elsewhere: what is there now, as an object that stays. */
export class AddressReader {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * What is there now, where that is known at once: it has not changed, or is so little that it is taken in. Otherwise why an
   * execution has to fetch it first. What an address answers never makes a plan fail: a commit may be about something else.
   */
  async glance(place: Place): Promise<StoredObject | { later: string }> {
    const { address } = place.source
    const signal = AbortSignal.timeout(glanceMs)
    try {
      const { answer, known } = await this.#ask(place, signal)
      if (answer.state === 'unchanged') return known!
      if ((answer.size ?? 0) <= glanceBytes) return await this.#keep(address, answer, glanceBytes)
      answer.content.destroy()
      return { later: `${address} has ${formatBytes(answer.size!)}: it is fetched first` }
    } catch (error) {
      if (error instanceof MoreThanGlanced) return { later: `${address} is large: it is fetched first` }
      if (signal.aborted) return { later: `${address} takes longer than ${glanceMs / 1000} s: it is fetched first` }
      if (!isAppError(error) || error.culprit === 'ours') throw error
      return { later: `it is fetched first; a first look: ${error.message}` }
    }
  }

  /** The same to its end, however long that takes. What may pass is tried again. */
  async fetch(place: Place, onLine: (line: string) => void, signal: AbortSignal): Promise<StoredObject> {
    for (const pause of [...pausesMs, undefined]) {
      try {
        return await this.#fetchOnce(place, onLine, signal)
      } catch (error) {
        if (signal.aborted) throw cancelled(place)
        if (pause === undefined || !isAppError(error, 'DataUnreachable')) throw error
        onLine(`${error.message} Trying again in ${pause / 1000} s.`)
        await this.#parts.clock.sleep(pause, signal)
      }
    }
    throw cancelled(place)
  }

  async #fetchOnce(place: Place, onLine: (line: string) => void, signal: AbortSignal): Promise<StoredObject> {
    const { address } = place.source
    onLine(`Asking ${address}`)
    const { answer, known } = await this.#ask(place, signal)
    if (answer.state === 'unchanged') {
      onLine(`It has not changed since it was fetched: ${known!.digest}`)
      return known!
    }
    onLine(`Fetching ${answer.size === undefined ? 'it' : formatBytes(answer.size)}`)
    const stored = await this.#keep(address, answer, Number.POSITIVE_INFINITY, onLine)
    onLine(`Fetched ${formatBytes(stored.size)}: ${stored.digest}`)
    return stored
  }

  async #ask({ source, ...asked }: Place, signal: AbortSignal) {
    const { addresses, objects, store, secretOf } = this.#parts
    const seen = await store.lastAt(nameOf(source.address))
    const known = seen && (await objects.has(seen.digest)) ? seen : undefined
    const answer = await addresses.open(source.address, {
      signal,
      ...(known ? { known: known.validator } : {}),
      ...(source.secret ? { secret: await secretOf({ ...asked, secret: source.secret }) } : {}),
    })
    return { answer, known: known && { digest: known.digest, size: known.size } }
  }

  async #keep(
    address: string,
    { content, size, validator }: Extract<AtAddress, { state: 'content' }>,
    most: number,
    onLine: (line: string) => void = () => undefined,
  ): Promise<StoredObject> {
    const counted = counting(most, size, onLine)
    content.once('error', (error) => counted.destroy(error))
    counted.once('close', () => content.destroy())
    const stored = await this.#parts.objects.put(content.pipe(counted))
    if (validator !== undefined) await this.#parts.store.rememberAt(nameOf(address), { ...stored, validator })
    return stored
  }
}

/** Addresses may be long; of the name nothing is asked but that it is one. */
const nameOf = (address: string): Digest => digestOf(address)

class MoreThanGlanced extends Error {}

/** Tells how far it is: each tenth of what will come, or each quarter of a gigabyte. */
function counting(most: number, size: number | undefined, onLine: (line: string) => void): Transform {
  const stride = Math.max(size === undefined ? 256_000_000 : size / 10, 16_000_000)
  let seen = 0
  return new Transform({
    transform(chunk: Buffer, _, done) {
      const before = Math.floor(seen / stride)
      seen += chunk.length
      if (Math.floor(seen / stride) > before)
        onLine(`${formatBytes(seen)}${size === undefined ? '' : ` of ${formatBytes(size)}`}`)
      done(seen > most ? new MoreThanGlanced() : null, chunk)
    },
  })
}

const cancelled = ({ dataset }: Place): AppError =>
  new AppError('Conflict', `Fetching data:${dataset} was cancelled.`, 'Start the execution again when you want it.')
