import type { Command } from 'commander'
import { getExecution, listExecutions } from '../executions/executions-contract.ts'
import { AppError } from '../kernel/errors.ts'
import { listProjects } from '../projects/projects-contract.ts'
import { listDeployments } from '../rollouts/rollouts-contract.ts'
import type { CliContext } from './context.ts'

type Shell = 'bash' | 'zsh'

/** What the first word after a command stands for, where the server can name it. */
const asked: Readonly<Record<string, string>> = {
  run: 'steps',
  plan: 'steps',
  logs: 'executions',
  cancel: 'executions',
  resume: 'executions',
  diff: 'executions',
  why: 'environments',
  retrain: 'environments',
}

const files = ['labels']

/** `modelwright completion bash|zsh`: made from the commands themselves. */
export async function completion(program: Command, shell: string, { io }: CliContext): Promise<number> {
  if (shell !== 'bash' && shell !== 'zsh')
    throw new AppError('BadRequest', `There is no completion for "${shell}".`, 'Name bash or zsh.')
  // Their settings are declared only where they are the command.
  const { processCommands } = await import('./processes.ts')
  const whole = commandsWithSettings(program, processCommands)
  const text = scriptFor(whole, shell)
  io.out(io.json ? `${JSON.stringify({ shell, script: text })}\n` : text)
  return 0
}

function commandsWithSettings(program: Command, declare: typeof import('./processes.ts').processCommands): Words {
  const words = wordsOf(program)
  const full = program.createCommand('modelwright')
  declare(full, {
    context: () => {
      throw new Error('only declared')
    },
    end: () => {},
  })
  return {
    ...words,
    commands: words.commands.map((one) => wordsOf(full).commands.find(({ name }) => name === one.name) ?? one),
  }
}

export type Words = { name: string; options: string[]; commands: Words[] }

export const wordsOf = (command: Command): Words => ({
  name: command.name(),
  options: command.options.flatMap(({ long, short }) => [long, short].filter((word) => word !== undefined)),
  commands: command.commands.filter((one) => !isHidden(one)).map(wordsOf),
})

const isHidden = (command: Command): boolean => (command as Command & { _hidden?: boolean })._hidden === true

/** One function for both shells: zsh reads it by its bash emulation. */
export function scriptFor(program: Words, shell: Shell): string {
  const branch = (path: string, words: readonly string[]) => `    '${path}') words='${words.join(' ')}' ;;`
  const commands = program.commands.map((one) =>
    branch(one.name, [...one.commands.map(({ name }) => name), ...one.options, ...program.options]),
  )
  const below = program.commands.flatMap((one) =>
    one.commands.map((sub) => branch(`${one.name} ${sub.name}`, [...sub.options, ...program.options])),
  )
  const dynamic = Object.entries(asked).map(([name, kind]) => `    '${name}') kind='${kind}' ;;`)
  const script = `# Completion of modelwright; written by \`modelwright completion ${shell}\`.
_modelwright() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" first='' second='' words='' kind='' word i
  COMPREPLY=()
  case "$previous" in
    --data-dir|--slo|--values|--previous) COMPREPLY=($(compgen -f -- "$current")); return ;;
    --project) COMPREPLY=($(compgen -W "$(modelwright complete-words projects 2>/dev/null)" -- "$current")); return ;;
    --environment) COMPREPLY=($(compgen -W "$(modelwright complete-words environments 2>/dev/null)" -- "$current")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in -*) continue ;; esac
    if [[ -z "$first" ]]; then first="$word"; elif [[ -z "$second" ]]; then second="$word"; fi
  done
  case "$first" in
    '') words='${[...program.commands.map(({ name }) => name), ...program.options].join(' ')}' ;;
${commands.join('\n')}
  esac
  case "$first $second" in
${below.join('\n')}
  esac
  case "$first" in
${dynamic.join('\n')}
  esac
  if [[ "$current" != -* ]]; then
    case "$first" in ${files.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;; esac
    if [[ -n "$kind" ]]; then words="$words $(modelwright complete-words "$kind" 2>/dev/null)"; fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
`
  return shell === 'bash'
    ? `${script}complete -F _modelwright modelwright\n`
    : `#compdef modelwright\nautoload -U +X bashcompinit && bashcompinit\n${script}complete -F _modelwright modelwright\n`
}

/** Words that only the server knows; none where it does not answer, for a completion must not complain. */
export async function completeWords(context: CliContext, kind: string): Promise<number> {
  const words = await wordsFromServer(context, kind).catch(() => [])
  context.io.out(words.map((word) => `${word}\n`).join(''))
  return 0
}

async function wordsFromServer(context: CliContext, kind: string): Promise<string[]> {
  const client = await context.client()
  if (kind === 'projects') return (await client(listProjects, { query: {} })).items.map(({ name }) => name)
  const project = await context.project()
  if (kind === 'environments')
    return (await client(listDeployments, { params: { project } })).items.map(({ environment }) => environment)
  const { items } = await client(listExecutions, { query: { project, limit: 20 } })
  if (kind === 'executions') return ['latest', ...items.map(({ id }) => id.slice(-8))]
  const [latest] = items
  if (kind !== 'steps' || !latest) return []
  const { nodes } = await client(getExecution, { params: { id: latest.id }, query: { nodes: 'folded' } })
  return nodes.filter((node) => node.kind === 'step').map(({ id }) => id)
}
