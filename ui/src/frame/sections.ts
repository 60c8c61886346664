import { Activity, Boxes, FlaskConical, GitFork, type LucideIcon, RefreshCw, Rocket, Workflow } from 'lucide-react'

/** The sections that there are, in the order in which data flows. */
export const sections = [
  { to: '/projects/$project', name: 'Loop', icon: RefreshCw },
  { to: '/projects/$project/executions', name: 'Executions', icon: Workflow },
  { to: '/projects/$project/runs', name: 'Runs', icon: FlaskConical },
  { to: '/projects/$project/models', name: 'Models', icon: Boxes },
  { to: '/projects/$project/deployments', name: 'Deployments', icon: Rocket },
  { to: '/projects/$project/monitoring', name: 'Monitoring', icon: Activity },
  { to: '/projects/$project/lineage', name: 'Lineage', icon: GitFork },
] as const satisfies readonly { to: string; name: string; icon: LucideIcon }[]
