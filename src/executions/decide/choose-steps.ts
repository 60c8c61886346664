import type { EpochMs } from '../../kernel/time.ts'
import type { Resources } from '../../projects/index.ts'

/** What steps are weighed against: this machine. */
export type Capacity = Required<Resources>

/** A step that could start, or one that runs. */
export type Load = {
  execution: string
  node: string
  needs: Resources
  mutex?: string | undefined
  /** Two steps of one key do not run side by side: the second one will find the first one's result. */
  key?: string | undefined
}
export type Candidate = Load & { readySince: EpochMs }

/** After so long, smaller steps no longer start ahead of a big one that never finds enough room. */
const patienceMs = 30_000
const dust = 1e-9

/** What a step takes; one that asks for more than the machine has takes all of it and so runs alone. */
export function weightOf({ cpu, memoryBytes = 0, gpu }: Resources, capacity: Capacity): Capacity {
  if (cpu > capacity.cpu || memoryBytes > capacity.memoryBytes) return capacity
  return { cpu, memoryBytes, gpu: Math.min(gpu, capacity.gpu) }
}

/**
 * Which steps start now, in order. Whoever has the least under way goes first, so that an execution of thousands does not make one of
 * three wait; within an execution the order of `waiting` counts.
 */
export function chooseSteps(
  waiting: readonly Candidate[],
  running: readonly Load[],
  capacity: Capacity,
  now: EpochMs,
): Candidate[] {
  const books = new Books(running, capacity)
  if (books.isFull || waiting.some((one) => now - one.readySince > patienceMs && books.lacksRoomFor(one))) return []
  const lines = new Map<string, Candidate[]>()
  for (const one of waiting) {
    const line = lines.get(one.execution)
    if (line) line.push(one)
    else lines.set(one.execution, [one])
  }
  const at = new Map<string, number>()
  const chosen: Candidate[] = []
  while (!books.isFull) {
    const next = nextOf(lines, at, books)
    if (!next) break
    books.take(next)
    chosen.push(next)
  }
  return chosen
}

/** Of the execution with the least under way the first step that may start; whom it passes by waits for the next look. */
function nextOf(lines: ReadonlyMap<string, Candidate[]>, at: Map<string, number>, books: Books): Candidate | undefined {
  const order = [...lines.keys()].sort((a, b) => books.shareOf(a) - books.shareOf(b))
  for (const execution of order) {
    const line = lines.get(execution)!
    for (let i = at.get(execution) ?? 0; i < line.length; i++) {
      at.set(execution, i + 1)
      if (books.mayStart(line[i]!)) return line[i]
    }
  }
  return undefined
}

class Books {
  readonly #capacity: Capacity
  readonly #free: Capacity
  readonly #held = new Set<string>()
  readonly #shares = new Map<string, number>()

  constructor(running: readonly Load[], capacity: Capacity) {
    this.#capacity = capacity
    this.#free = { ...capacity }
    for (const load of running) this.take(load)
  }

  get isFull(): boolean {
    return this.#free.cpu <= dust
  }

  shareOf(execution: string): number {
    return this.#shares.get(execution) ?? 0
  }

  take(load: Load): void {
    const { cpu, memoryBytes, gpu } = weightOf(load.needs, this.#capacity)
    this.#free.cpu -= cpu
    this.#free.memoryBytes -= memoryBytes
    this.#free.gpu -= gpu
    for (const name of locksOf(load)) this.#held.add(name)
    this.#shares.set(load.execution, this.shareOf(load.execution) + cpu)
  }

  mayStart(load: Load): boolean {
    return this.#locksFree(load) && this.#hasRoomFor(load)
  }

  lacksRoomFor(load: Load): boolean {
    return this.#locksFree(load) && !this.#hasRoomFor(load)
  }

  #locksFree(load: Load): boolean {
    return locksOf(load).every((name) => !this.#held.has(name))
  }

  #hasRoomFor({ needs }: Load): boolean {
    const { cpu, memoryBytes, gpu } = weightOf(needs, this.#capacity)
    return cpu <= this.#free.cpu + dust && memoryBytes <= this.#free.memoryBytes && gpu <= this.#free.gpu
  }
}

const locksOf = ({ mutex, key }: Load): string[] => [
  ...(mutex === undefined ? [] : [`mutex ${mutex}`]),
  ...(key === undefined ? [] : [`key ${key}`]),
]
