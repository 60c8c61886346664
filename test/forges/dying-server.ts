// A server that kills itself the moment a hook asks what the third argument names: nothing is flushed, closed or told.
import { modelwrightItself } from '../../src/projects/index.ts'
import { startRemote } from './remote.ts'

const [, , folder, moment] = process.argv
const die = () => process.kill(process.pid, 'SIGKILL')
const server = await startRemote({
  folder,
  beforeAnswer: (url) => {
    if (moment && url.endsWith(moment)) die()
  },
})
await server.projects.connect({ name: 'demo' }, { kind: 'owner', name: modelwrightItself.actor })
console.log(server.port)
