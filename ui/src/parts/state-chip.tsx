import { type ShownState, stateWords } from '../../../src/lineage/shown-states-contract.ts'
import { stateIcons } from '../state-icons.ts'

type Props = { state: ShownState; size?: number }

export function StateIcon({ state, size = 14 }: Props) {
  const Icon = stateIcons[state]
  return (
    <span data-state={state} className="state-box">
      <Icon size={size} aria-hidden className={state === 'running' ? 'state-icon turns' : 'state-icon'} />
    </span>
  )
}

/** The one chip of a page, or of a row: icon and word; `word` where the thing has a closer one. */
export function StateChip({ state, word }: { state: ShownState; word?: string }) {
  return (
    <span data-state={state} className="chip">
      <StateIcon state={state} size={13} />
      {word ?? stateWords[state]}
    </span>
  )
}

/** Icon and word without the chip's frame, for dense places; `word` where the thing has a closer one. */
export function StateWord({ state, word }: { state: ShownState; word?: string }) {
  return (
    <span data-state={state} className="state">
      <StateIcon state={state} />
      {word ?? stateWords[state]}
    </span>
  )
}
