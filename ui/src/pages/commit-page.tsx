import { useQuery } from '@tanstack/react-query'
import { Navigate, useParams } from '@tanstack/react-router'
import { executionsOfCommitQuery } from '../data/queries.ts'
import { shortCommit } from '../format.ts'
import { Empty } from '../parts/empty.tsx'
import { PageSkeleton } from '../parts/loading.tsx'
import { Problem } from '../parts/problem.tsx'

/** The link in a push's output: it leads to the commit's newest execution, as soon as there is one. */
export function CommitPage() {
  const { project, sha } = useParams({ from: '/projects/$project/commits/$sha' })
  // A push's link can be quicker than the execution that it started.
  const { data, error } = useQuery({ ...executionsOfCommitQuery(project, sha), refetchInterval: 2_000 })
  const execution = data?.items[0]
  if (execution)
    return <Navigate to="/projects/$project/executions/$id" params={{ project, id: execution.id }} replace />
  if (!data && !error) return <PageSkeleton />
  return (
    <div className="page">
      <h1>Commit {shortCommit(sha)}</h1>
      {error ? (
        <Problem error={error} />
      ) : (
        <section className="card">
          <Empty title="No execution of this commit">
            A commit that changes only `deployments:` starts none; what it declared is under Deployments. If you pushed
            a moment ago, this page goes on by itself.
          </Empty>
        </section>
      )}
    </div>
  )
}
