/** The last eight digits of an id: the CLI takes them for the whole. */
const short = (id: string): string => id.slice(-8)

/** The lines that do in a terminal what a page shows or offers. */
export const commands = {
  init: 'modelwright init',
  up: 'modelwright up',
  push: 'git push modelwright main',
  run: 'modelwright run',
  token: 'modelwright token',
  logs: (execution: string, step: string) => `modelwright logs -f ${short(execution)} ${step}`,
  resume: (execution: string) => `modelwright resume ${short(execution)}`,
  cancel: (execution: string) => `modelwright cancel ${short(execution)}`,
  approve: (promotion: string) => `modelwright approve ${short(promotion)}`,
  reject: (promotion: string) => `modelwright reject ${short(promotion)}`,
  retrain: (environment: string) => `modelwright retrain ${environment}`,
  continueRollout: (environment: string) => `modelwright rollouts continue ${environment}`,
  abortRollout: (environment: string) => `modelwright rollouts abort ${environment}`,
  lineage: (of: string, direction: 'up' | 'down' | 'both', depth: number) =>
    `modelwright lineage ${/^[\w@:./-]+$/.test(of) ? of : JSON.stringify(of)}${direction === 'both' ? '' : ` --${direction}`}${depth === 6 ? '' : ` --depth ${depth}`}`,
  reproduce: (model: string, version: number) => `modelwright reproduce ${model}@${version}`,
  why: (model: string, version: number) => `modelwright why ${model}@${version}`,
}
