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

/**
 * Runs a program to its end. `words` are the last lines that it wrote to standard error: its own explanation. The signal ends it with all that
 * it started (compilers of a package that is built from source), which is why it is the first of a process group.
 */
export function runTool(call: ToolCall): Promise<ToolResult> {
  return new Promise((done, fail) => {
    call.signal?.throwIfAborted()
    const child = spawn(call.command, call.args, { cwd: call.cwd, env: call.env, detached: true })
    const end = () => killGroup(child.pid)
    call.signal?.addEventListener('abort', end, { once: true })
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
    child.once('error', fail)
    child.once('close', (code) => {
      call.signal?.removeEventListener('abort', end)
      if (call.signal?.aborted) fail(call.signal.reason)
      else done({ code: code ?? 1, stdout, words })
    })
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It was over already.
  }
}
