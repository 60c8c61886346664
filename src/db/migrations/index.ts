import type { Migration } from 'kysely'
import { foundation } from './0001-foundation.ts'
import { artifacts } from './0002-artifacts.ts'
import { tracking } from './0003-tracking.ts'
import { registry } from './0004-registry.ts'
import { projects } from './0005-projects.ts'
import { planning } from './0006-planning.ts'
import { executions } from './0007-executions.ts'
import { gates } from './0008-gates.ts'
import { serving } from './0010-serving.ts'
import { promotions } from './0011-promotions.ts'
import { rollouts } from './0012-rollouts.ts'
import { labels } from './0013-labels.ts'
import { monitoring } from './0014-monitoring.ts'
import { retraining } from './0015-retraining.ts'
import { runSearch } from './0016-run-search.ts'
import { traces } from './0017-traces.ts'
import { evaluations } from './0018-evaluations.ts'
import { webhooks } from './0019-webhooks.ts'
import { uploads } from './0020-uploads.ts'
import { users } from './0021-users.ts'
import { purge } from './0022-purge.ts'
import { imports } from './0023-imports.ts'
import { resultsOrigin } from './0024-results-origin.ts'
import { reproductions } from './0025-reproductions.ts'
import { provenance } from './0026-provenance.ts'
import { fanOut } from './0028-fan-out.ts'
import { stepSecrets } from './0029-step-secrets.ts'
import { erasures } from './0030-erasures.ts'
import { versionConversions } from './0031-version-conversions.ts'

/** Append only: a released migration is never edited. */
export const migrations: Record<string, Migration> = {
  '0001-foundation': foundation,
  '0002-artifacts': artifacts,
  '0003-tracking': tracking,
  '0004-registry': registry,
  '0011-promotions': promotions,
  '0012-rollouts': rollouts,
  '0005-projects': projects,
  '0006-planning': planning,
  '0007-executions': executions,
  '0010-serving': serving,
  '0013-labels': labels,
  '0014-monitoring': monitoring,
  '0015-retraining': retraining,
  '0016-run-search': runSearch,
  '0017-traces': traces,
  '0008-gates': gates,
  '0020-uploads': uploads,
  '0021-users': users,
  '0018-evaluations': evaluations,
  '0019-webhooks': webhooks,
  '0022-purge': purge,
  '0023-imports': imports,
  '0024-results-origin': resultsOrigin,
  '0025-reproductions': reproductions,
  '0026-provenance': provenance,
  '0028-fan-out': fanOut,
  '0029-step-secrets': stepSecrets,
  '0030-erasures': erasures,
  '0031-version-conversions': versionConversions,
}
