// Projects: connected Git repositories, where their branches stand, and their checked modelwright.yaml (all of its schema).
// Owns the tables of projects, recorded branch heads and push intents, and tells 'branch.moved' exactly once per move.
// Never plans or runs anything, and never judges whether a push may come in: that is for the rooms below.
export { changedSections, changesOnlyDeployments } from './decide/changed-sections.ts'
export { type Detected, detectProject, type RepositoryFile } from './decide/detect-project.ts'
export { editDeployment, type Promoted } from './decide/edit-deployment.ts'
export { projectFileJsonSchema } from './decide/json-schema.ts'
export { checkProjectFile, parseProjectFile } from './decide/parse-project-file.ts'
export { matchesPattern } from './decide/path-pattern.ts'
export { renderCommand } from './decide/render-command.ts'
export { depSeesOut, isGlob, isInside, normalisePath, pathProblem, pathsOverlap } from './decide/repository-path.ts'
export { findCycle, upstreamSteps } from './decide/step-graph.ts'
export * from './project-file.ts'
export { connectProject, getProject, listProjects, projectShape } from './projects-contract.ts'
export { projectEndpoints } from './projects-routes.ts'
export { type FileAtCommit, modelwrightItself, ProjectsService, projectFileName } from './projects-service.ts'
export { type Observer, type Project, ProjectsStore, type RecordedHead } from './projects-store.ts'
