import { useQuery } from '@tanstack/react-query'
import { formatBytes } from '../../../../src/kernel/units.ts'
import type { ShownState } from '../../../../src/lineage/shown-states-contract.ts'
import { type Gateway, isWhole, processesText } from '../../../../src/rollouts/served-words-contract.ts'
import { commands } from '../../commands.ts'
import { gatewayQuery } from '../../data/queries.ts'
import { Empty } from '../../parts/empty.tsx'
import { StateWord } from '../../parts/state-chip.tsx'
import { Tile, Tiles } from '../../parts/tiles.tsx'
import { Ago } from '../../parts/time.tsx'

/** The process that answers predictions: the memory that all models share, of every project. */
export function GatewayCard() {
  const { data } = useQuery(gatewayQuery)
  if (!data) return null
  const { answers, startedAt, problem } = data
  return (
    <section className="card" aria-labelledby="gateway">
      <header>
        <h2 id="gateway">Gateway</h2>
        <StateWord {...stateOf(data)} />
        <span className="spring" />
        {startedAt !== undefined && (
          <span className="quiet">
            began <Ago at={startedAt} />
          </span>
        )}
      </header>
      {problem && <p className="environment-reason">{problem}</p>}
      {answers ? (
        <Shared gateway={data} />
      ) : (
        <Empty title="The gateway does not answer" commands={[commands.up]}>
          Predictions are answered by it, so none is now. `modelwright up` starts it, and again where it ends.
        </Empty>
      )}
    </section>
  )
}

function stateOf(gateway: Gateway): { state: ShownState; word: string } {
  if (!gateway.answers) return { state: 'failed', word: 'no answer' }
  const processes = processesText(gateway)
  if (!isWhole(gateway)) return { state: 'warned', word: processes ?? '' }
  return { state: 'passed', word: processes ? `running, ${processes}` : 'running' }
}

function Shared({ gateway: { memory, journal } }: { gateway: Gateway }) {
  return (
    <Tiles>
      {memory && (
        <Tile
          name="Memory of all models"
          value={formatBytes(memory.used)}
          hint={
            memory.budget === undefined ? (
              'without a limit'
            ) : (
              <>
                of {formatBytes(memory.budget)}
                <span className="budget" aria-hidden>
                  <i style={{ width: `${Math.min(100, (100 * memory.used) / memory.budget)}%` }} />
                </span>
              </>
            )
          }
        />
      )}
      {journal && (
        <Tile
          name="Predictions written down"
          value={journal.written.toLocaleString('en')}
          hint={
            journal.dropped === 0 ? (
              'none lost'
            ) : (
              <StateWord state="warned" word={`${journal.dropped.toLocaleString('en')} could not be`} />
            )
          }
        />
      )}
    </Tiles>
  )
}
