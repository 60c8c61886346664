/** An environment of a project: where a deployment serves. */
export type Place = { project: string; environment: string }
