import type { ReactNode } from 'react'
import { formatBytes } from '../../../src/kernel/units.ts'
import { servedState } from '../../../src/lineage/shown-states-contract.ts'
import {
  computedText,
  memoryOf,
  replacedText,
  type ServedVersion,
  servedWord,
} from '../../../src/rollouts/served-words-contract.ts'
import { StateWord } from './state-chip.tsx'
import { Ago } from './time.tsx'
import './served-version.css'

/** Each version at the gateway on a line of its own, with its notes below. */
export const ServedVersions = ({ children }: { children: ReactNode }) => (
  <div className="served-frame">
    <ul className="served">{children}</ul>
  </div>
)

/** A version at the gateway: whether it is in memory, what computes it, what its processes take, and why each is so. */
export function ServedVersionItem({ name, version }: { name: ReactNode; version: ServedVersion }) {
  const { state, since, reason, computesReason, replacedForMemory, workers = [] } = version
  const memory = memoryOf(version)
  return (
    <li className="served-version">
      <span className="served-name">{name}</span>
      <StateWord state={servedState[state]} word={servedWord(version)} />
      <span className="served-form">
        {computedText(version)}
        {memory !== undefined && <span className="tabular">, {formatBytes(memory)}</span>}
      </span>
      <div className="served-notes">
        {reason && (
          <p>
            {reason}
            {since !== undefined && (
              <span className="quiet">
                {' '}
                <Ago at={since} />
              </span>
            )}
          </p>
        )}
        {computesReason && <p className="quiet">{sentence(computesReason)}</p>}
        {workers.length > 0 && <p className="quiet tabular">{workers.map(workerText).join(', ')}.</p>}
        {replacedForMemory !== undefined && <p>{sentence(replacedText(replacedForMemory))}</p>}
      </div>
    </li>
  )
}

function workerText({ pid, state, memoryBytes }: NonNullable<ServedVersion['workers']>[number]): string {
  const facts = [
    ...(state === 'ready' ? [] : [state]),
    ...(memoryBytes === undefined ? [] : [`takes ${formatBytes(memoryBytes)}`]),
  ]
  return [`pid ${pid}`, ...facts].join(' ')
}

const sentence = (text: string): string =>
  `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.)}]$/.test(text) ? '' : '.'}`
