import { type Db, transact } from '../db/index.ts'
import type { EventPayloads } from '../kernel/events.ts'
import type { ProjectsService } from '../projects/index.ts'
import type { RegistryService } from '../registry/index.ts'

/** `models:/NAME@production` is what Git declares for production: the alias follows the desired state and nothing else moves it. */
export const aliasFollowsGit =
  (db: Db, projects: ProjectsService, registry: RegistryService) =>
  async ({ project, environment, commit }: EventPayloads['desired.changed']): Promise<void> => {
    const { file } = await projects.fileAt(project, commit)
    const declared = file.deployments[environment]
    const version = declared?.digest && (await registry.versionByDigest(declared.digest))
    if (version) await transact(db, (tx) => registry.setGitOwnedAlias(tx, version.model, environment, version.version))
  }
