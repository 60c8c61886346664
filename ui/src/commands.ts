/** The lines that do in a terminal what a page shows or offers. */
export const commands = {
  init: 'modelwright init',
  push: 'git push modelwright main',
  run: 'modelwright run',
  status: 'modelwright status',
  executions: 'modelwright status',
  runs: 'modelwright runs',
  logs: (execution: string, step: string) => `modelwright logs -f ${execution} ${step}`,
  cancel: (execution: string) => `modelwright cancel ${execution}`,
  approve: (promotion: string) => `modelwright approve ${promotion}`,
  reject: (promotion: string) => `modelwright reject ${promotion}`,
  continueRollout: (rollout: string) => `modelwright continue ${rollout}`,
  abortRollout: (rollout: string) => `modelwright abort ${rollout}`,
  why: (what: string) => `modelwright why ${what}`,
}
