import type { Command } from 'commander'
import type { CliContext } from './context.ts'

export type CommandParts = {
  /** The words of the command line that are no options. */
  words: readonly string[]
  /** Once the command line is read. */
  context: () => CliContext
  end: (code: number) => void
}

export const groups = {
  start: 'Begin:',
  work: 'Work:',
  ask: 'Ask:',
  decide: 'Decide:',
  run: 'Server:',
  tools: 'Tools:',
} as const

export type Declare = ReturnType<typeof declareOn>

/** What the commands of each group are declared with. */
export function declareOn(program: Command, parts: CommandParts) {
  return {
    program,
    parts,
    command: (group: keyof typeof groups, usage: string, description: string, examples: readonly string[]): Command => {
      program.commandsGroup(groups[group])
      const declared = program.command(usage).description(description)
      if (examples.length > 0)
        declared.addHelpText('after', `\nExamples:\n${examples.map((one) => `  ${one}\n`).join('')}`)
      return declared
    },
    /** An action whose number is the exit code. */
    act:
      <Args extends unknown[]>(work: (context: CliContext, ...args: Args) => Promise<number>) =>
      async (...args: unknown[]) =>
        parts.end(await work(parts.context(), ...(args.slice(0, -1) as Args))),
  }
}

/** An option that may be repeated. */
export const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]
