import { type State, states } from '../states.ts'

type Props = { state: State; size?: number }

export function StateIcon({ state, size = 14 }: Props) {
  const Icon = states[state].icon
  return (
    <span data-state={state} className="state-box">
      <Icon size={size} aria-hidden className={state === 'running' ? 'state-icon turns' : 'state-icon'} />
    </span>
  )
}

/** The one chip of a page, or of a row: icon and word. */
export function StateChip({ state }: { state: State }) {
  return (
    <span data-state={state} className="chip">
      <StateIcon state={state} size={13} />
      {states[state].word}
    </span>
  )
}

/** Icon and word without the chip's frame, for dense places; `word` where the thing has a closer one. */
export function StateWord({ state, word }: { state: State; word?: string }) {
  return (
    <span data-state={state} className="state">
      <StateIcon state={state} />
      {word ?? states[state].word}
    </span>
  )
}
