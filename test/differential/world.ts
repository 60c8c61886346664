import { RandomValues } from './random-values.ts'

export const kinds = ['experiment', 'run', 'loggedModel', 'trace', 'assessment', 'dataset', 'record'] as const
export type Kind = (typeof kinds)[number]

/** A call as both servers get it; ids that a server made stand in it as symbols. */
export type Call = {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  path: string
  body?: Record<string, unknown>
  query?: Record<string, string | readonly string[]>
  /** Where the answer names what it made. */
  makes?: { kind: Kind; at: string }
  /** A page of a list, of which the next ones are asked for too. */
  paged?: boolean
}

export type Family = { name: string; weight: number; call: (world: World) => Call }

const symbolOf = (kind: Kind, index: number) => `⟦${kind}:${index}⟧`

/**
 * What has been made so far. An episode has experiments and names of its own and looks at nothing else, so that where the servers
 * have come apart the next episode begins with both alike.
 */
export class World {
  readonly values: RandomValues
  episode = 0
  /** Unique over a whole run, also the beginning of times: equal ones would be ordered by ids, which differ. */
  #count = 0
  readonly #made = new Map<Kind, number>()
  #symbols = new Map<Kind, string[]>()

  readonly seed: number

  constructor(seed: number) {
    this.seed = seed
    this.values = new RandomValues(seed)
  }

  beginEpisode(): void {
    this.episode += 1
    this.#symbols = new Map()
  }

  /** The symbol of what a call is about to make. */
  nextSymbol(kind: Kind): string {
    const index = this.#made.get(kind) ?? 0
    this.#made.set(kind, index + 1)
    return symbolOf(kind, index)
  }

  add(kind: Kind, symbol: string): void {
    this.#symbols.set(kind, [...(this.#symbols.get(kind) ?? []), symbol])
  }

  all(kind: Kind): readonly string[] {
    return this.#symbols.get(kind) ?? []
  }

  /** One that exists, mostly a young one; seldom an id that nobody has. */
  id(kind: Kind): string {
    const known = this.all(kind)
    if (known.length === 0 || this.values.chance(0.03)) return this.values.of(strangers[kind])
    return this.values.chance(0.6)
      ? known.at(-1 - this.values.below(Math.min(3, known.length)))!
      : this.values.of(known)
  }

  ids(kind: Kind, most: number): string[] {
    return [...new Set(this.values.some(most, () => this.id(kind)))]
  }

  /** Each call of it is larger by one. */
  unique(): number {
    this.#count += 1
    return this.#count
  }

  /** A name of this episode. */
  name(word: string): string {
    return `s${this.seed}e${this.episode}-${word}`
  }
}

const strangers: Record<Kind, readonly string[]> = {
  experiment: ['99999999', 'abc', '', '-1', '1.5', "0' or '1'='1"],
  run: ['0123456789abcdef0123456789abcdef', 'abc', 'UPPER', 'a/b', 'x'.repeat(257), ''],
  loggedModel: ['m-0123456789abcdef0123456789abcdef', 'nope', 'm-'],
  trace: ['tr-0123456789abcdef0123456789abcdef', 'nope'],
  assessment: ['a-0123456789abcdef0123456789abcdef', 'nope'],
  dataset: ['d-0123456789abcdef0123456789abcdef', 'nope'],
  record: ['dr-0123456789abcdef0123456789abcdef'],
}
