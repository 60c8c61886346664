// Projects: connected Git repositories, where their branches stand, and their checked modelwright.yaml (all of its schema).
// Owns the tables of projects, recorded branch heads and push intents, and tells 'branch.moved' exactly once per move.
// Never plans or runs anything, and never judges whether a push may come in: that is for the rooms below.
export { changesOnlyDeployments } from './decide/changed-sections.ts'
export { detectProject, type RepositoryFile } from './decide/detect-project.ts'
export { editDeployment } from './decide/edit-deployment.ts'
export { expandItems, readItems, stepOfItem } from './decide/expand-items.ts'
export { declaredName, mostSteps } from './decide/expand-matrix.ts'
export { projectFileJsonSchema } from './decide/json-schema.ts'
export { narrowedParams } from './decide/param-file.ts'
export { parseProjectFile } from './decide/parse-project-file.ts'
export { upstreamSteps } from './decide/step-graph.ts'
export * from './project-file.ts'
export { connectProject, getProject, listProjects } from './projects-contract.ts'
export { projectEndpoints } from './projects-routes.ts'
export { modelwrightItself, ProjectsService, projectFileName } from './projects-service.ts'
export { type Project, ProjectsStore } from './projects-store.ts'
