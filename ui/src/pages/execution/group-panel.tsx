import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { formatMetric } from '../../../../src/kernel/units.ts'
import { nodeState } from '../../../../src/lineage/shown-states-contract.ts'
import { type ExecutionNode, nodesOfGroupQuery } from '../../data/queries.ts'
import { groupNote } from '../../executions-words.ts'
import { Empty } from '../../parts/empty.tsx'
import { SkeletonRows } from '../../parts/loading.tsx'
import { Problem } from '../../parts/problem.tsx'
import { StateChip, StateWord } from '../../parts/state-chip.tsx'
import { TableScroll } from '../../parts/table-scroll.tsx'
import { Took } from '../../parts/time.tsx'

type Group = NonNullable<ExecutionNode['group']>
type State = ExecutionNode['state']
type Props = { project: string; execution: string; node: ExecutionNode; group: Group }

const shownMetrics = 3

/** The many steps of a matrix or a list: by state, page by page, each with its own page behind its name. */
export function GroupPanel({ project, execution, node, group }: Props) {
  const [state, setState] = useState<State | undefined>(group.states.failed ? 'failed' : undefined)
  const pages = useInfiniteQuery(nodesOfGroupQuery(execution, node.id, state))
  const nodes = pages.data?.pages.flatMap(({ items }) => items) ?? []
  return (
    <section className="card" aria-label={`Steps of ${node.id}`}>
      <header>
        <h2 className="mono step-name">{node.id}</h2>
        <StateChip state={nodeState[node.state]} />
        <span className="spring" />
        <span className="quiet">{groupNote(group)}</span>
      </header>
      {node.error && (
        <div className="step-problem">
          <Problem error={node.error} />
        </div>
      )}
      <fieldset className="tabs group-states">
        <legend className="visually-hidden">Show steps that are</legend>
        <StateButton name="all" count={group.of} pressed={state === undefined} onPress={() => setState(undefined)} />
        {Object.entries(group.states).map(([name, count]) => (
          <StateButton
            key={name}
            name={name}
            count={count}
            pressed={state === name}
            onPress={() => setState(name as State)}
          />
        ))}
      </fieldset>
      {pages.isPending ? <SkeletonRows rows={8} /> : null}
      {pages.error ? <Problem error={pages.error} /> : null}
      {pages.data && nodes.length === 0 ? <Empty title="None">No step of {node.id} is in this state now.</Empty> : null}
      {nodes.length > 0 && <Rows project={project} execution={execution} name={node.id} nodes={nodes} />}
      {pages.hasNextPage && (
        <button type="button" className="button group-more" onClick={() => void pages.fetchNextPage()}>
          Show more
        </button>
      )}
    </section>
  )
}

type StateButtonProps = { name: string; count: number; pressed: boolean; onPress: () => void }

const StateButton = ({ name, count, pressed, onPress }: StateButtonProps) => (
  <button type="button" aria-pressed={pressed} onClick={onPress}>
    {name} <span className="quiet tabular">{count}</span>
  </button>
)

type RowsProps = { project: string; execution: string; name: string; nodes: readonly ExecutionNode[] }

const Rows = ({ project, execution, name, nodes }: RowsProps) => (
  <TableScroll label={`Steps of ${name}`}>
    <table className="table">
      <caption className="visually-hidden">Steps of {name}</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">State</th>
          <th scope="col" className="number">
            Took
          </th>
          <th scope="col">Measured</th>
        </tr>
      </thead>
      <tbody>
        {nodes.map((node) => (
          <tr key={node.id}>
            <td className="mono">
              <Link
                to="/projects/$project/executions/$id"
                params={{ project, id: execution }}
                search={{ step: node.id }}
                resetScroll={false}
              >
                {node.id.slice(name.length + 1)}
              </Link>
            </td>
            <td>
              <StateWord state={nodeState[node.state]} />
            </td>
            <td className="number">
              {node.startedAt !== undefined && node.state !== 'reused' && (
                <Took from={node.startedAt} to={node.endedAt} />
              )}
            </td>
            <td>{measured(node)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  </TableScroll>
)

const measured = ({ metrics = {} }: ExecutionNode): string =>
  Object.entries(metrics)
    .slice(0, shownMetrics)
    .map(([name, value]) => `${name} ${formatMetric(value)}`)
    .join(', ')
