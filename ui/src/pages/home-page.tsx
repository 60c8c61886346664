import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { commands } from '../commands.ts'
import { projectsQuery } from '../data/queries.ts'
import { Empty } from '../parts/empty.tsx'
import { PageSkeleton } from '../parts/loading.tsx'
import { Problem } from '../parts/problem.tsx'
import { Strip } from '../parts/strip.tsx'

const loop = [
  { name: 'Run', state: undefined, text: 'what changed runs, the rest is reused' },
  { name: 'Judge', state: undefined, text: 'against limits and the model that serves' },
  { name: 'Promote', state: undefined, text: 'a commit, by rule or by a person' },
  { name: 'Roll out', state: undefined, text: 'in steps, each decided by what was seen' },
  { name: 'Watch', state: undefined, text: 'drift and late labels start it again' },
]

/** Shown only while no project is connected; otherwise the first one's loop is the home. */
export function HomePage() {
  const { data, error } = useQuery(projectsQuery)
  if (error)
    return (
      <div className="page">
        <h1>Modelwright</h1>
        <Problem error={error} />
      </div>
    )
  if (!data) return <PageSkeleton />
  return (
    <div className="page">
      <h1>{data.items.length === 0 ? 'Connect a repository' : 'Projects'}</h1>
      <section className="card">
        {data.items.length === 0 ? (
          <>
            <Strip stages={loop} />
            <Empty title="In a Git repository with a training script" commands={[commands.init, commands.push]}>
              The first command writes a commented modelwright.yaml for what it finds there and connects the repository.
              The second runs the pipeline.
            </Empty>
          </>
        ) : (
          <ul className="list">
            {data.items.map(({ name, branch }) => (
              <li key={name}>
                <Link to="/projects/$project" params={{ project: name }} className="text-link">
                  {name}
                </Link>{' '}
                <span className="quiet">{branch}</span>
              </li>
            ))}
          </ul>
        )}
      </section>
    </div>
  )
}
