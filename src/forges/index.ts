// Forges: how commits come in. Here: Modelwright as a Git remote of its own, with the judging of a push while the pusher waits.
// Owns which refs may change and who may push; what a push would run is planned by a function handed in (PlanPush).
// Never waits for environments or runs, and moves no branch itself: Git does, and the projects room records it.
export { type GitHttpParts, gitHttp } from './git-http.ts'
export type { PlanPush } from './push.ts'
export { PushService } from './push-service.ts'
