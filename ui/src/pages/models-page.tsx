import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { verdictState } from '../../../src/lineage/shown-states-contract.ts'
import { commands } from '../commands.ts'
import { type Version, versionsQuery } from '../data/queries.ts'
import { percent } from '../format.ts'
import { Digest } from '../parts/copy.tsx'
import { Empty } from '../parts/empty.tsx'
import { ListPage } from '../parts/list-page.tsx'
import { StateWord } from '../parts/state-chip.tsx'
import { Ago } from '../parts/time.tsx'

export function ModelsPage() {
  const { project } = useParams({ from: '/projects/$project/models' })
  const { data, error } = useQuery(versionsQuery(project))
  return (
    <ListPage
      title="Models"
      lede="Versions that a gate judged, newest first, and where they serve."
      error={error}
      items={data?.items}
      more={
        data?.nextPageToken !== undefined &&
        `The newest ${data.items.length} are shown; older versions are in the terminal: \`modelwright versions\`.`
      }
      empty={
        <Empty title="No version yet" commands={[commands.push]}>
          A candidate that its gate lets through becomes a version with its whole provenance.
        </Empty>
      }
    >
      {(items) => (
        <table className="table">
          <caption className="visually-hidden">Model versions, newest first</caption>
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Verdict</th>
              <th scope="col">Serves</th>
              <th scope="col">Digest</th>
              <th scope="col" className="number">
                Judged
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((version) => (
              <tr key={version.digest} className="linked">
                <td>
                  <Link
                    to="/projects/$project/models/$model/versions/$version"
                    params={{ project, model: version.model, version: String(version.version) }}
                    className="whole"
                  >
                    {version.model} <strong>v{version.version}</strong>
                  </Link>
                </td>
                <td>
                  <StateWord state={verdictState[version.verdict]} />
                </td>
                <td>
                  <Places version={version} />
                </td>
                <td className="above">
                  <Digest digest={version.digest} />
                </td>
                <td className="number">
                  <Ago at={version.createdAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </ListPage>
  )
}

function Places({ version: { serves, declared, barred } }: { version: Version }) {
  const waits = declared.filter((environment) => !serves.some((place) => place.environment === environment))
  return (
    <span className="row">
      {serves.map(({ environment, weight }) => (
        <StateWord key={environment} state="serving" word={`${environment} ${percent(weight)}`} />
      ))}
      {waits.map((environment) => (
        <StateWord key={environment} state="progressing" word={`declared for ${environment}`} />
      ))}
      {barred.map(({ environment, reason }) => (
        <span key={environment} className="quiet" title={reason}>
          barred from {environment}
        </span>
      ))}
    </span>
  )
}
