import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { bug } from '../../../kernel/errors.ts'

export type GitObject = { id: string; type: string; content: Buffer }

type Waiting = {
  request: string
  done: (object: GitObject | undefined) => void
  fail: (error: Error) => void
  /** The process that was asked first died over it. */
  isAskedAgain: boolean
}

type ReaderOptions = {
  gitPath: string
  args: string[]
  cwd: string
  env: Record<string, string>
  idleMs: number
  onIdle: () => void
}

/**
 * Reads objects through one `git cat-file --batch`, started when first asked and ended after a pause: a process for each
 * object would cost a few milliseconds every time. Answers come in the order of the questions.
 */
export class ObjectReader {
  readonly #start: () => ChildProcessWithoutNullStreams
  readonly #idleMs: number
  #child: ChildProcessWithoutNullStreams | undefined
  #waiting: Waiting[] = []
  #chunks: Buffer[] = []
  #available = 0
  #idle: NodeJS.Timeout | undefined
  readonly #onIdle: () => void

  constructor(options: ReaderOptions) {
    this.#idleMs = options.idleMs
    this.#onIdle = options.onIdle
    this.#start = () =>
      spawn(options.gitPath, [...options.args, 'cat-file', '--batch'], { cwd: options.cwd, env: options.env })
  }

  /** The object that the name (an id, `COMMIT:PATH`, `REF^{commit}`) stands for; undefined where there is none. */
  read(request: string): Promise<GitObject | undefined> {
    if (/[\n\0]/.test(request)) return Promise.reject(bug('An object name with a line break would desynchronise git.'))
    return new Promise((done, fail) => this.#ask({ request, done, fail, isAskedAgain: false }))
  }

  #ask(question: Waiting): void {
    clearTimeout(this.#idle)
    const child = this.#running()
    this.#waiting.push(question)
    child.ref()
    child.stdin.write(`${question.request}\n`)
  }

  close(): void {
    clearTimeout(this.#idle)
    this.#child?.stdin.end()
    this.#child = undefined
  }

  #running(): ChildProcessWithoutNullStreams {
    if (this.#child) return this.#child
    const child = this.#start()
    this.#child = child
    this.#chunks = []
    this.#available = 0
    let stderr = ''
    child.stderr.on('data', (data) => {
      stderr = `${stderr}${data}`.slice(-2000)
    })
    child.stdin.on('error', () => undefined)
    child.stdout.on('data', (data: Buffer) => this.#child === child && this.#take(data))
    child.on('error', (error) => this.#ended(child, error))
    child.on('close', () => this.#ended(child, bug(`git cat-file ended: ${stderr.trim() || 'no reason given'}`)))
    return child
  }

  #take(data: Buffer): void {
    this.#chunks.push(data)
    this.#available += data.length
    while (this.#waiting.length > 0 && this.#answerFirst());
    if (this.#waiting.length === 0) this.#rest()
  }

  // `ID TYPE SIZE\n CONTENT \n`, or `REQUEST missing\n` (also `ambiguous`): git-cat-file(1), BATCH OUTPUT.
  #answerFirst(): boolean {
    const first = this.#waiting[0]!
    const head = this.#peekLine()
    if (head === undefined) return false
    const found = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(head.toString())
    if (!found) {
      this.#consume(head.length + 1)
      this.#waiting.shift()
      first.done(undefined)
      return true
    }
    const size = Number(found[3])
    if (this.#available < head.length + 1 + size + 1) return false
    const whole = this.#consume(head.length + 1 + size + 1)
    this.#waiting.shift()
    first.done({ id: found[1]!, type: found[2]!, content: whole.subarray(head.length + 1, head.length + 1 + size) })
    return true
  }

  #peekLine(): Buffer | undefined {
    let at = this.#chunks[0]?.indexOf(10) ?? -1
    if (at < 0 && this.#chunks.length > 1) {
      this.#chunks = [Buffer.concat(this.#chunks)]
      at = this.#chunks[0]!.indexOf(10)
    }
    return at < 0 ? undefined : this.#chunks[0]!.subarray(0, at)
  }

  #consume(count: number): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    this.#available -= count
    this.#chunks = all.length === count ? [] : [all.subarray(count)]
    return all.subarray(0, count)
  }

  #rest(): void {
    this.#child?.unref()
    this.#idle = setTimeout(() => {
      this.close()
      this.#onIdle()
    }, this.#idleMs)
    this.#idle.unref()
  }

  /** It may have died before it was asked, unnoticed: another one gets the questions, once. */
  #ended(child: ChildProcessWithoutNullStreams, error: Error): void {
    if (this.#child !== child) return
    this.#child = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one.isAskedAgain ? one.fail(error) : this.#ask({ ...one, isAskedAgain: true })
  }
}
