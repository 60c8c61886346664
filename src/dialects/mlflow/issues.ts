import type { FastifyInstance } from 'fastify'
import { type Issue, issueSeverities, issueStatuses } from '../../evaluations/index.ts'
import { pythonText } from '../../kernel/python-text.ts'
import { invalid } from '../../tracking/index.ts'
import type { MlflowAccess } from './access.ts'
import { pageLimit } from './experiments.ts'
import { flag, integer, pathParam, readMessage, required, text, texts } from './message.ts'
import { type MlflowParts, mount } from './parts.ts'

const root = '/3.0/mlflow/issues'

export function mountIssues(app: FastifyInstance, { evaluations }: MlflowParts, access: MlflowAccess): void {
  mount(app, 'POST', root, async (request) => {
    const asked = readMessage(request, {
      experiment_id: required(text),
      name: required(text),
      description: required(text),
      status: text,
      severity: text,
      root_causes: texts,
      source_run_id: text,
      categories: texts,
      created_by: text,
    })
    const issue = await evaluations.createIssue({
      experimentId: asked.experiment_id,
      name: asked.name,
      description: asked.description,
      status: statusFrom(asked.status),
      severity: severityFrom(asked.severity),
      rootCauses: asked.root_causes,
      categories: asked.categories,
      sourceRunId: asked.source_run_id || undefined,
      createdBy: asked.created_by || undefined,
    })
    return { issue: issueWire(issue) }
  })

  mount(app, 'POST', `${root}/search`, async (request) => {
    const search = readMessage(request, {
      experiment_id: text,
      filter_string: text,
      max_results: integer,
      page_token: text,
      include_trace_count: flag,
    })
    const { items, nextPageToken } = await evaluations.searchIssues({
      experimentId: search.experiment_id || undefined,
      filter: search.filter_string,
      countTraces: search.include_trace_count,
      limit: pageLimit(search.max_results, { default: 100, max: 50_000 }),
      pageToken: search.page_token,
    })
    return { issues: items.map(issueWire), next_page_token: nextPageToken ?? '' }
  })

  mount(app, 'GET', `${root}/:issue_id`, async (request) => ({
    issue: issueWire(await evaluations.issue(pathParam(request, 'issue_id'))),
  }))

  mount(app, 'PATCH', `${root}/:issue_id`, async (request) => {
    const issueId = pathParam(request, 'issue_id')
    const change = readMessage(request, {
      issue_id: required(text),
      status: text,
      name: text,
      description: text,
      severity: text,
    })
    access.toShared(request.actor, `change issue ${issueId}`)
    const issue = await evaluations.updateIssue(issueId, {
      status: statusFrom(change.status),
      severity: severityFrom(change.severity),
      name: change.name || undefined,
      description: change.description || undefined,
    })
    return { issue: issueWire(issue) }
  })
}

const statusFrom = (word: string | undefined) => oneOfWords('IssueStatus', issueStatuses, word)
const severityFrom = (word: string | undefined) => oneOfWords('IssueSeverity', issueSeverities, word)

function oneOfWords<T extends string>(name: string, words: readonly T[], word: string | undefined): T | undefined {
  if (word === undefined) return undefined
  const known = words.find((one) => one === word)
  if (known === undefined) throw invalid(`${pythonText(word)} is not a valid ${name}`)
  return known
}

const issueWire = (issue: Issue) => ({
  issue_id: issue.issueId,
  experiment_id: issue.experimentId,
  name: issue.name,
  description: issue.description,
  status: issue.status,
  ...(issue.severity === undefined ? {} : { severity: issue.severity }),
  ...(issue.rootCauses.length === 0 ? {} : { root_causes: issue.rootCauses }),
  ...(issue.sourceRunId === undefined ? {} : { source_run_id: issue.sourceRunId }),
  ...(issue.categories.length === 0 ? {} : { categories: issue.categories }),
  created_timestamp: issue.createdAt,
  last_updated_timestamp: issue.updatedAt,
  ...(issue.createdBy === undefined ? {} : { created_by: issue.createdBy }),
  ...(issue.traceCount === undefined ? {} : { trace_count: issue.traceCount }),
})
