import { Command } from 'commander'
import pc from 'picocolors'
import { isAppError } from '../kernel/errors.ts'
import type { CliIo } from './io.ts'
import { processCommands } from './processes.ts'

/** argv → command → exit code. */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const isTty = process.stdout.isTTY === true
  const color = pc.createColors(isTty && env.NO_COLOR === undefined)
  const io: CliIo = {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTty,
    color,
    json: argv.includes('--json'),
  }
  let exitCode = 0
  const program = new Command('modelwright')
    .description('MLOps as GitOps: from git push to a model that serves, is watched, and retrains itself')
    .option('--json', 'answer as one JSON value')
    .showHelpAfterError()
    .exitOverride()
  const end = (code: number) => {
    exitCode = code
  }
  processCommands(program, { io, env, end })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (error) {
    return failed(error, io)
  }
}

function failed(error: unknown, io: CliIo): number {
  if (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('commander.')
  )
    return (error as Error & { exitCode?: number }).exitCode ?? 1
  if (!isAppError(error)) throw error
  if (io.json) io.out(`${JSON.stringify({ error: error.toJSON() })}\n`)
  const place = error.place
    ? `${error.place.file}${error.place.line ? `:${error.place.line}:${error.place.column ?? 1}` : ''}: `
    : ''
  io.err(`${io.color.red(`${error.code}`)}: ${place}${error.message}\n${io.color.dim(error.next)}\n`)
  return 1
}
