import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { formatMetric } from '../../../src/kernel/units.ts'
import { runState } from '../../../src/lineage/shown-states-contract.ts'
import { commands } from '../commands.ts'
import { type Run, runsQuery } from '../data/queries.ts'
import { Empty } from '../parts/empty.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { StateWord } from '../parts/state-chip.tsx'
import { Ago, Took } from '../parts/time.tsx'

const metricColumns = 4

export function RunsPage() {
  const { project } = useParams({ from: '/projects/$project/runs' })
  const { filter } = useSearch({ from: '/projects/$project/runs' })
  const { data, error } = useQuery(runsQuery(project, filter))
  const metrics = commonMetrics(data?.items ?? [])
  return (
    <ListPage
      title="Runs"
      lede="Each step that was carried out is an MLflow run, with what it logged."
      error={error}
      items={data?.items}
      more={
        data?.nextPageToken !== undefined &&
        `The newest ${data.items.length} are shown; older runs are in the terminal: \`modelwright runs\`.`
      }
      tools={<Filter filter={filter} />}
      empty={
        filter ? (
          <Empty title="No run fits the filter">MLflow's grammar: metrics.auc &gt; 0.9 and params.depth = '3'</Empty>
        ) : (
          <Empty title="No run yet" commands={[commands.run, commands.push]}>
            What a step logs with mlflow shows here without a change to its code.
          </Empty>
        )
      }
    >
      {(items) => (
        <table className="table">
          <caption className="visually-hidden">Runs, newest first</caption>
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">Run</th>
              <th scope="col">Params</th>
              {metrics.map((name) => (
                <th key={name} scope="col" className="number mono">
                  {name}
                </th>
              ))}
              <th scope="col" className="number">
                Took
              </th>
              <th scope="col" className="number">
                Began
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((run) => (
              <Row key={run.id} project={project} run={run} metrics={metrics} />
            ))}
          </tbody>
        </table>
      )}
    </ListPage>
  )
}

function Row({ project, run, metrics }: { project: string; run: Run; metrics: string[] }) {
  const execution = run.tags['modelwright.execution']
  const step = run.tags['modelwright.step']
  const params = Object.entries(run.params)
  return (
    <tr className={execution && step ? 'linked' : undefined}>
      <td>
        <StateWord state={runState[run.status]} />
      </td>
      <td>
        {execution && step ? (
          <Link
            to="/projects/$project/executions/$id"
            params={{ project, id: execution }}
            search={{ step, tab: 'metrics' }}
            className="whole"
          >
            {run.name}
          </Link>
        ) : (
          run.name
        )}
      </td>
      <td className="params" title={params.map(([name, value]) => `${name} = ${value}`).join('\n')}>
        {params.slice(0, 3).map(([name, value]) => (
          <span key={name} className="param">
            <span className="quiet">{name}</span> {value}
          </span>
        ))}
        {params.length > 3 && <span className="quiet">+{params.length - 3}</span>}
      </td>
      {metrics.map((name) => {
        const value = run.metrics[name]?.value
        return (
          <td key={name} className="number">
            {value === undefined ? '' : typeof value === 'number' ? formatMetric(value) : value}
          </td>
        )
      })}
      <td className="number">
        <Took from={run.startedAt} to={run.endedAt} />
      </td>
      <td className="number">
        <Ago at={run.startedAt} />
      </td>
    </tr>
  )
}

function Filter({ filter }: { filter: string | undefined }) {
  const navigate = useNavigate({ from: '/projects/$project/runs' })
  const search = (form: FormData) => {
    const text = String(form.get('filter') ?? '').trim()
    void navigate({ search: text ? { filter: text } : {} })
  }
  return (
    <form className="toolbar" action={search} key={filter}>
      <input
        className="input mono wide-input"
        name="filter"
        defaultValue={filter}
        aria-label="Filter in MLflow's grammar"
        placeholder="metrics.auc > 0.9 and params.depth = '3'"
      />
      <button type="submit" className="button small">
        Filter
      </button>
    </form>
  )
}

/** The metrics that most runs have, so that rows can be compared. */
function commonMetrics(runs: readonly Run[]): string[] {
  const counts = new Map<string, number>()
  for (const run of runs) for (const name of Object.keys(run.metrics)) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .sort(([a, m], [b, n]) => n - m || a.localeCompare(b))
    .slice(0, metricColumns)
    .map(([name]) => name)
}
