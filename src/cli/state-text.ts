import { type ShownState, stateWords } from '../lineage/shown-states-contract.ts'
import type { CliIo } from './io.ts'

type Color = 'green' | 'red' | 'yellow' | 'cyan' | 'magenta' | 'dim'

/** One sign for each state; the colour only repeats what word and sign say. */
const signs = {
  queued: { sign: '○', color: 'dim' },
  running: { sign: '◐', color: 'cyan' },
  reused: { sign: '↻', color: 'green' },
  passed: { sign: '✓', color: 'green' },
  warned: { sign: '!', color: 'yellow' },
  failed: { sign: '✗', color: 'red' },
  inconclusive: { sign: '?', color: 'yellow' },
  cancelled: { sign: '⊘', color: 'dim' },
  waiting: { sign: '◇', color: 'magenta' },
  progressing: { sign: '▸', color: 'cyan' },
  serving: { sign: '●', color: 'green' },
  mismatch: { sign: '≠', color: 'yellow' },
  stalled: { sign: '■', color: 'red' },
} as const satisfies Record<ShownState, { sign: string; color: Color }>

/** `✓ passed`; another word in its place where that says more. */
export const stateText = (color: CliIo['color'], state: ShownState, word: string = stateWords[state]): string =>
  color[signs[state].color](`${signs[state].sign} ${word}`)
