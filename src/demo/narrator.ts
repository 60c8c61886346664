import type { CliIo } from '../cli/io.ts'

/** How the demo speaks: stages with a number, steps under them, quotes from programs behind a bar. */
export type Narrator = {
  title: (text: string) => void
  text: (text: string) => void
  step: (text: string) => void
  good: (text: string) => void
  bad: (text: string) => void
  /** What another program said. */
  quote: (line: string) => void
  command: (text: string) => void
}

export function narrator({ out, color }: Pick<CliIo, 'out' | 'color'>): Narrator {
  const line = (text: string) => out(`${text}\n`)
  return {
    title: (text) => line(`\n${color.bold(text)}`),
    text: (text) => line(`  ${text}`),
    step: (text) => line(`  ${color.dim('·')} ${text}`),
    good: (text) => line(`  ${color.green('✓')} ${text}`),
    bad: (text) => line(`  ${color.red('✗')} ${text}`),
    quote: (text) => line(`  ${color.dim('│')} ${color.dim(text)}`),
    command: (text) => line(`  ${color.cyan(`$ ${text}`)}`),
  }
}
