import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { executionState } from '../../../src/lineage/shown-states-contract.ts'
import { commands } from '../commands.ts'
import { executionsQuery } from '../data/queries.ts'
import { triggerText } from '../executions-words.ts'
import { shortCommit } from '../format.ts'
import { Empty } from '../parts/empty.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { StateWord } from '../parts/state-chip.tsx'
import { Ago, Took } from '../parts/time.tsx'

export function ExecutionsPage() {
  const { project } = useParams({ from: '/projects/$project/executions' })
  const { data, error } = useQuery(executionsQuery(project))
  return (
    <ListPage
      title="Executions"
      lede="Each pass through the pipeline: what made it start, how it ended."
      error={error}
      items={data?.items}
      more={
        data?.nextPageToken !== undefined &&
        `The newest ${data.items.length} are shown; older executions are in the terminal: \`modelwright runs\`.`
      }
      empty={
        <Empty title="No execution yet" commands={[commands.push, commands.run]}>
          A push starts one; `modelwright run` tries the working tree before the push.
        </Empty>
      }
    >
      {(items) => (
        <table className="table">
          <caption className="visually-hidden">Executions, newest first</caption>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Commit</th>
              <th scope="col">Because of</th>
              <th scope="col">What came of it</th>
              <th scope="col">Asked by</th>
              <th scope="col" className="number">
                Took
              </th>
              <th scope="col" className="number">
                Began
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((execution) => (
              <tr key={execution.id} className="linked">
                <td>
                  <StateWord state={executionState[execution.state]} />
                </td>
                <td>
                  <Link
                    to="/projects/$project/executions/$id"
                    params={{ project, id: execution.id }}
                    className="whole mono"
                  >
                    {shortCommit(execution.commit)}
                  </Link>
                </td>
                <td>{triggerText(execution.trigger)}</td>
                <td className="muted">{execution.reason ?? ''}</td>
                <td className="muted">{execution.requestedBy}</td>
                <td className="number">
                  {execution.startedAt !== undefined && <Took from={execution.startedAt} to={execution.endedAt} />}
                </td>
                <td className="number">
                  <Ago at={execution.createdAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </ListPage>
  )
}
