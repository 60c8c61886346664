import { formatBytes } from '../kernel/units.ts'
import type { CliIo } from './io.ts'
import type { Problem } from './mlflow-sources/source.ts'

const everyMs = { terminal: 200, lines: 5_000 } as const
const shownProblems = 20

export const counted = ['experiments', 'runs', 'points', 'models', 'versions', 'files', 'bytes'] as const
export type Counted = (typeof counted)[number]

/** What has been brought in so far: one line that is written over on a terminal, else a line every few seconds, or events. */
export class ImportProgress {
  readonly counts: Record<Counted, number> = {
    experiments: 0,
    runs: 0,
    points: 0,
    models: 0,
    versions: 0,
    files: 0,
    bytes: 0,
  }
  /** Runs that were whole here already. */
  known = 0
  problems = 0
  readonly #io: CliIo
  readonly #now: () => number
  readonly #startedAt: number
  #toldAt: number

  constructor(io: CliIo, now: () => number) {
    this.#io = io
    this.#now = now
    this.#startedAt = now()
    this.#toldAt = this.#startedAt
  }

  add(what: Counted, count = 1): void {
    this.counts[what] += count
    const now = this.#now()
    if (now - this.#toldAt < (this.#io.isTty && !this.#io.json ? everyMs.terminal : everyMs.lines)) return
    this.#toldAt = now
    this.#tell()
  }

  problem({ place, reason }: Problem): void {
    this.problems++
    if (this.#io.json) this.event('problem', { place, reason })
    else if (this.problems <= shownProblems) this.#line(`${this.#io.color.yellow('!')} ${place}: ${reason}\n`)
    else if (this.problems === shownProblems + 1) this.#line('… further problems are only counted\n')
  }

  refused(name: string, reason: string, next: string): void {
    if (this.#io.json) this.event('refused', { name, reason, next })
    else this.#line(`${this.#io.color.red('✗')} ${name}: ${reason}\n  ${this.#io.color.dim(next)}\n`)
  }

  note(text: string): void {
    if (!this.#io.json) this.#line(`${text}\n`)
  }

  event(event: string, facts: object): void {
    if (this.#io.json) this.#io.out(`${JSON.stringify({ event, ...facts })}\n`)
  }

  /** The last state, as a line of its own. */
  end(): void {
    this.#tell()
    if (this.#io.isTty && !this.#io.json) this.#io.err('\n')
  }

  #tell(): void {
    if (this.#io.json) this.event('progress', { ...this.counts, known: this.known })
    else if (this.#io.isTty) this.#io.err(`\r\x1b[K${this.#text()}`)
    else this.#io.err(`${this.#text()}\n`)
  }

  #text(): string {
    const seconds = Math.max(0.001, (this.#now() - this.#startedAt) / 1000)
    const { experiments, runs, points, models, versions, files, bytes } = this.counts
    const rate = (count: number) => `${Math.round(count / seconds).toLocaleString('en')}/s`
    const parts = [
      `${experiments} experiments`,
      `${runs} runs (${rate(runs)}${this.known > 0 ? `, ${this.known} here already` : ''})`,
      `${points.toLocaleString('en')} points (${rate(points)})`,
      `${models} models, ${versions} versions`,
      `${files} files, ${formatBytes(bytes)} (${formatBytes(Math.round(bytes / seconds))}/s)`,
    ]
    return parts.join(' · ')
  }

  #line(text: string): void {
    this.#io.err(this.#io.isTty ? `\r\x1b[K${text}` : text)
  }
}
