import { Command } from 'commander'
import pc from 'picocolors'
import packageFacts from '../../package.json' with { type: 'json' }
import { isAppError } from '../kernel/errors.ts'
import { declareCommands } from './commands.ts'
import { createContext, type GlobalOptions } from './context.ts'
import type { CliIo } from './io.ts'

/** argv → command → exit code. */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const io = ioOf(argv, env)
  try {
    return await runWith(argv, env, io)
  } catch (error) {
    return failed(error, io)
  }
}

async function runWith(argv: readonly string[], env: NodeJS.ProcessEnv, io: CliIo): Promise<number> {
  let exitCode = 0
  const program = createProgram()
  await declareCommands(program, {
    words: argv.filter((word) => !word.startsWith('-')),
    context: () => createContext({ io, env, cwd: process.cwd(), options: program.opts<GlobalOptions>() }),
    end: (code) => {
      exitCode = code
    },
  })
  await program.parseAsync([...argv], { from: 'user' })
  return exitCode
}

function createProgram(): Command {
  return new Command('modelwright')
    .description('MLOps as GitOps: from git push to a model that serves, is watched, and retrains itself')
    .version(packageFacts.version, '-V, --version', 'print the version')
    .option('--json', 'answer as one JSON value')
    .option(
      '--data-dir <path>',
      'data folder; else MODELWRIGHT_DATA_DIR, the nearest .modelwright upwards, the one that init connected to, or the one that up runs on',
    )
    .option(
      '--server <url>',
      'server; else MODELWRIGHT_SERVER, the one that runs on the data folder, or the Git remote "modelwright"',
    )
    .option('--project <name>', 'project; else that of the repository here, or the only one that there is')
    .configureHelp({ showGlobalOptions: true, subcommandTerm })
    .addHelpText('after', firstSteps)
    .showHelpAfterError('(`modelwright --help` lists the commands)')
    .exitOverride()
}

const firstSteps = `
First steps:
  modelwright up --detach
  modelwright init
  modelwright run
  git push modelwright main
  modelwright status
`

/** Without `[options]`, which says nothing. */
const subcommandTerm = (command: Command): string =>
  [
    command.name(),
    ...command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`)),
  ].join(' ')

function ioOf(argv: readonly string[], env: NodeJS.ProcessEnv): CliIo {
  const isTty = process.stdout.isTTY === true
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTty,
    color: pc.createColors(isTty && !env.NO_COLOR && env.TERM !== 'dumb'),
    json: argv.includes('--json'),
  }
}

/** A command line that cannot be read, in the form of every other error. */
const misread = ({ message }: Error) => ({
  error: {
    code: 'BadRequest',
    message: message.replace(/^error: /, ''),
    next: '`modelwright --help` lists the commands.',
  },
})

function failed(error: unknown, io: CliIo): number {
  if (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('commander.')
  ) {
    const exitCode = (error as Error & { exitCode?: number }).exitCode ?? 1
    if (io.json && exitCode !== 0 && error.code !== 'commander.help') io.out(`${JSON.stringify(misread(error))}\n`)
    return exitCode
  }
  if (!isAppError(error)) throw error
  if (io.json) io.out(`${JSON.stringify({ error: error.toJSON() })}\n`)
  const place = error.place
    ? `${error.place.file}${error.place.line ? `:${error.place.line}:${error.place.column ?? 1}` : ''}`
    : ''
  // A message of several problems names the place of each itself.
  const before = place === '' || error.message.startsWith(place) ? '' : `${place}: `
  io.err(`${io.color.red(`${error.code}`)}: ${before}${error.message}\n${io.color.dim(error.next)}\n`)
  return 1
}
