import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export type ToolCall = {
  command: string
  args: string[]
  cwd: string
  env: Record<string, string>
  input?: string
  onLine?: (line: string) => void
  signal?: AbortSignal
}

export type ToolResult = { code: number; stdout: string; words: string[] }

const keptWords = 40

/** Runs a program to its end. `words` are the last lines that it wrote to standard error: its own explanation. */
export function runTool(call: ToolCall): Promise<ToolResult> {
  return new Promise((done, fail) => {
    call.signal?.throwIfAborted()
    const child = spawn(call.command, call.args, { cwd: call.cwd, env: call.env, signal: call.signal })
    const words: string[] = []
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    createInterface({ input: child.stderr }).on('line', (line) => {
      words.push(line)
      if (words.length > keptWords) words.shift()
      call.onLine?.(line)
    })
    child.stdin.on('error', () => undefined)
    child.stdin.end(call.input ?? '')
    child.once('error', (error) => fail(call.signal?.aborted ? call.signal.reason : error))
    child.once('close', (code) => done({ code: code ?? 1, stdout, words }))
  })
}
