import { type ShownState, stateWords } from '../../../src/lineage/shown-states-contract.ts'
import { StateIcon } from './state-chip.tsx'
import './strip.css'

/** One station of the loop; without a state it was not reached. */
export type Stage = { name: string; state: ShownState | undefined; text: string }

/** The loop from left to right. */
export function Strip({ stages }: { stages: Stage[] }) {
  return (
    <ol className="strip" aria-label="The loop">
      {stages.map(({ name, state, text }) => (
        <li key={name} data-state={state} data-reached={state !== undefined}>
          <span className="strip-name">
            {state ? <StateIcon state={state} size={15} /> : <i className="strip-dot" aria-hidden />}
            {name}
            {state && <span className="visually-hidden">: {stateWords[state]}</span>}
          </span>
          <span className="strip-text">{text}</span>
        </li>
      ))}
    </ol>
  )
}
